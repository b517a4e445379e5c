"""What client, engine and worker tell whoever traces and measures them: `App(telemetry=…)`. `perdure.otel` listens with OpenTelemetry.

All of it is called in line, where time is short. Nothing that it does may raise, and nothing of it is seen by workflow code but
context variables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from perdure.clock import Micros
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import Applied, Command
from perdure.model.inspection import QueueStatus
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import AttemptEnd


class Telemetry(Protocol):
    """It is a propagator as well, the last one of its App: headers tell what is started who started it."""

    @property
    def fields(self) -> Collection[str]:
        """The names of its headers."""
        ...

    @property
    def lasting_fields(self) -> Collection[str]:
        """Those that an execution leaves to the one that continues it as it got them: both have been started by the same."""
        ...

    def inject(self) -> Mapping[str, str]: ...

    def extract(self, headers: Mapping[str, str]) -> None: ...

    def current_ids(self) -> tuple[str, str] | None:
        """Of the trace and the span that the running code belongs to, in hexadecimal digits; for log records."""
        ...

    def starting(self, name: str) -> AbstractContextManager[Callable[[str, bytes], None]]:
        """Around the start of a workflow or activity by a client; to be told the ids of instance and execution."""
        ...

    def signalling(self, name: str, instance_id: str) -> AbstractContextManager[dict[str, str]]:
        """Around a client's signal; what that carries."""
        ...

    def watch(self, task: WorkflowTask, started_at: Micros) -> ExecutionWatcher:
        """An execution begins in memory. Called in the context of its workflow code, after `extract`."""
        ...

    def watch_worker(self) -> WorkerWatcher:
        """A worker starts."""
        ...

    def begin_attempt(self, task: ActivityTask) -> AttemptWatcher:
        """The function of an activity begins. Called in its context, after `extract`."""
        ...


class ExecutionWatcher(Protocol):
    """Sees an execution's history pass, event by event, each with its commands: first what is replayed, then what is new."""

    def begin_drain(self, event: Applied, *, is_replay: bool) -> None:
        """The event has been applied; now the code runs until it blocks."""
        ...

    def issued(self, command: Command) -> None:
        """The code asks for it, or goes back on it, here and now; whether that stands, the end of the drain tells."""
        ...

    def end_drain(self, commands: Sequence[Command]) -> None:
        """The code blocks; these are the commands that history has behind the event."""
        ...

    def become(self, task: WorkflowTask) -> None:
        """The execution is a fork, and was another one until now."""
        ...

    def headers_of(self, number: int) -> dict[str, str]:
        """What a signal carries that the command of this number sends."""
        ...

    def conclude(self, checkpoint: Checkpoint) -> Callable[[], None]:
        """To be called once the checkpoint is durable, or may be."""
        ...


class WorkerWatcher(Protocol):
    """One worker, from its start to its end."""

    @property
    def look_seconds(self) -> float | None:
        """How often one of all workers that are watched is to look at the whole store; None is never."""
        ...

    def begin(self, held: Callable[[], Held]) -> Callable[[], None]:
        """A life of it begins; `held` may be called from any thread. To be called when it has ended."""
        ...

    def claimed(self, workflow_tasks: int, activity_tasks: int) -> None:
        """So much came with one claim."""
        ...

    def stepped(self, workflow: str, *, waited: Micros | None, seconds: float, was_in_memory: bool | None) -> None:
        """A workflow task was applied, or results of activities; it had `waited` since it was due, if that is known.

        `was_in_memory` is None of an execution that has just begun.
        """
        ...

    def evicted(self) -> None:
        """An idle execution left memory for another one."""
        ...

    def committed(self, transitions: int, seconds: float) -> None:
        """The store has answered a batch, whose first transition waited for so long."""
        ...

    def saw_store(self, seen: Seen | None) -> None:
        """At a look; None: another worker does that."""
        ...


class Held(NamedTuple):
    """What a worker has now."""

    executions: int
    """In memory."""
    activities: int
    """Attempts that run."""


class Seen(NamedTuple):
    """What is in the whole store."""

    queues: Sequence[QueueStatus]
    at: datetime
    stuck: int


class AttemptWatcher(Protocol):
    """One attempt of an activity."""

    def ended(self, end: AttemptEnd | None) -> None:
        """How; None: the lease was lost, and nothing of it is recorded."""
        ...
