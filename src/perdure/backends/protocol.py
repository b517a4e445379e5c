"""The contract of a store, in two Protocols: `Tasks`, which workers and clients live on, and `Inspection`.

Rules that hold for all of it, each tested by `perdure.testing.conformance`:

- *Acknowledged means durable*, as durable as the server is set. Nothing is seen by others before it is.
- *One transition, one outcome.* `commit` gathers what is waiting into one transaction, without a timer; yet a fence that
  fails, or a value the database refuses, harms its own transition alone.
- *Fences are taken by the locking write itself*: a token (random, per lease) and the history position.
- *Time is the store's*: leases and due times are compared inside it, and the `at` of a pending event is its arrival.
- *Order*: pending events of an instance have ids that count up without gaps in the order of commits.
- *Hand-back and claim pass the same admission*: free slots, priority, then the instance's age, per-queue limits.
- *Answers get lost*: create, append and completion carry ids of the caller; repeating one isn't a second one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from perdure.backends.answers import Answer
from perdure.clock import Micros
from perdure.model.inspection import (
    Ended,
    ExportedInstance,
    HistoryEvent,
    InstanceFilter,
    Page,
    PendingActivity,
    Pruned,
    QueueStatus,
    SettingKind,
    WorkerStatus,
)
from perdure.model.instance import Execution, Instance, Outcome, State
from perdure.model.transition import Transition

O = TypeVar("O")  # noqa: E741 - the outcome


class WorkerStart(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that begins."""

    name: str
    workflow_queues: tuple[str, ...]
    activity_queues: tuple[str, ...]
    workflow_names: frozenset[str] = frozenset()
    activity_names: frozenset[str] = frozenset()
    versions: frozenset[str] | None = None
    """Which instances may come back by an `Offer`, as in ClaimTasks; None takes every version."""
    lease_seconds: float = 20.0
    is_retired: bool = False
    """It takes nothing more, and only ends what it runs."""

    def serves(self, queue: str, workflow: str, version: str | None) -> bool:
        """Whether an instance of these is for the worker."""
        return (
            not self.is_retired
            and queue in self.workflow_queues
            and workflow in self.workflow_names
            and (self.versions is None or version in self.versions)
        )


class Beat(msgspec.Struct, frozen=True):
    """The answer to a heartbeat: `is_alive` false means that the worker's leases were taken over."""

    is_alive: bool
    now: Micros


class Question(msgspec.Struct, frozen=True):
    """A request to whoever has the execution, until `expires_at`."""

    question_id: bytes
    instance_id: str
    request: bytes


class Housekeeping(msgspec.Struct, frozen=True, kw_only=True):
    """What a round of housekeeping did."""

    workers_lost: int = 0
    activities_lost: int = 0
    activities_expired: int = 0
    deadlines_passed: int = 0
    stuck: tuple[str, ...] = ()
    """Ids of instances that had lost one worker too many (E4)."""
    next_lapse_in: Micros | None = None
    """In how long another round may find a worker dead: the first one whose lease lapses, unless it is heard of until then."""


class Tasks(Protocol):
    """The hot half."""

    async def commit(self, transition: Transition[O]) -> O:
        """Carry out a transition durably; many callers' transitions share a transaction.

        Cancelling the caller doesn't take a transition back that was on its way. Raises StoreUnavailable if whether
        it took place isn't known (repeat it: its ids make that safe), another StoreError if it did not.
        """
        ...

    def submit(self, transition: Transition[O]) -> Answer[O]:
        """`commit` without a task of its own: the transition is on its way when this returns.

        The answer's callback runs on the event loop on which the store was opened, for transitions of one instance in the
        order in which they were committed. Raises nothing: an error is the answer's.
        """
        ...

    async def start_worker(self, start: WorkerStart) -> int:
        """The key of a new worker, alive for `lease_seconds` from now."""
        ...

    async def beat(self, worker_key: int) -> Beat:
        """Keep a worker and all its leases alive for another lease. One that was marked dead stays dead."""
        ...

    async def stop_worker(self, worker_key: int) -> None:
        """Give back all that the worker holds, at once and uncounted, and forget it."""
        ...

    async def retire_worker(self, worker_key: int, running: Collection[tuple[int, int]]) -> None:
        """Give back all that the worker holds but the activities of these keys and tokens, at once and uncounted.

        From then on it takes nothing more, by no claim or offer either that is on its way already; what it runs stays its own
        for as long as it beats, until `stop_worker`. Repeating it gives back what isn't among `running` by then.
        """
        ...

    async def housekeep(self) -> Housekeeping:
        """Carry out what time brings, on all queues, served or not; any worker may, at any time, side by side.

        Workers whose lease has lapsed are marked dead *first*, then lose their leases: instances are claimable at once,
        an activity attempt is due again, uncounted, but for the fifth such loss in a row, which fails it with WorkerLost.
        An instance whose workflow task was out at the fifth such loss in a row is marked stuck until Resume.
        Activities past queue_timeout or total_timeout while nobody runs them fail with ActivityTimeout; open attempts past
        total_timeout, too, and past timeout or heartbeat_timeout as their retry policy says. Instances past
        their deadline end FAILED with DeadlineExceeded. Old receipts, questions and dead workers' rows go.
        """
        ...

    async def remove_expired(self, *, limit: int = 100) -> int:
        """Remove up to `limit` ended instances that were kept for as long as their retention says; how many.

        As `prune` otherwise. Any worker may, at any time, side by side.
        """
        ...

    async def wait_for_work(self, worker_key: int, timeout_seconds: float) -> None:
        """Return when there may be something to claim for the worker; at the latest after the time-out.

        A hint: it may return for nothing, and another process's commit may be missed. What was committed since the
        worker's last claim is never missed within this process.
        """
        ...

    async def wait_for_outcome(self, instance_id: str, timeout_seconds: float) -> Outcome | None:
        """How the instance ended, across continue-as-new; None if it still runs after the time-out.

        Raises InstanceNotFound.
        """
        ...

    async def read_events(self, instance_key: int, execution_id: bytes) -> Sequence[HistoryEvent]:
        """The whole history of an execution, in order; empty before its first checkpoint."""
        ...

    async def ask(self, instance_id: str, request: bytes, timeout_seconds: float) -> bytes | None:
        """Put a question to the worker that holds the instance, or to one that serves it if nobody does, as when it has ended.

        None if there is no such worker, or no answer in time.
        """
        ...

    async def wait_for_questions(self, worker_key: int, timeout_seconds: float) -> None:
        """Return when there may be a question for the worker; at the latest after the time-out. A hint, as `wait_for_work`."""
        ...

    async def take_questions(self, worker_key: int) -> Sequence[Question]:
        """Questions about instances that the worker holds, or that it serves and nobody holds; each taken once."""
        ...

    async def wait_for_answer(self, question_id: bytes, timeout_seconds: float) -> bytes | None:
        """What `answer` says to a question that was put in another way, under an id of the caller's; None without one in time.

        It must be waited for before the answer is given. An id serves for one wait.
        """
        ...

    async def answer(self, question_id: bytes, reply: bytes) -> None:
        """Answer a question; nobody may be waiting any more."""
        ...


class Inspection(Protocol):
    """The operators' half. Reads don't lock writers out; nothing here is on the hot path."""

    async def read_instance(self, instance_id: str) -> Instance:
        """Raises InstanceNotFound."""
        ...

    async def read_executions(self, instance_id: str) -> Sequence[Execution]:
        """The chain of continue-as-new, oldest first."""
        ...

    async def read_history(
        self, instance_id: str, *, execution_id: str | None = None, after: int = -1, limit: int = 1000
    ) -> Sequence[HistoryEvent]:
        """Events with a position over `after`, of the current execution or the named one (32 hex digits)."""
        ...

    async def read_arguments(self, instance_id: str) -> bytes:
        """The arguments of the current execution, encoded."""
        ...

    async def read_outcome(self, instance_id: str) -> Outcome | None:
        """How it ended; None while it runs."""
        ...

    async def read_published(self, instance_id: str, key: str) -> bytes | None:
        """The last value published under `key`; None if there is none. Raises InstanceNotFound."""
        ...

    async def read_activities(self, instance_id: str) -> Sequence[PendingActivity]:
        """Activities of the current execution that haven't ended, by number."""
        ...

    async def list_instances(
        self, where: InstanceFilter = ..., *, cursor: str | None = None, limit: int = 50
    ) -> Page[Instance]:
        """Newest first. The cursor stays good while instances come and go."""
        ...

    async def count_instances(self, where: InstanceFilter = ...) -> dict[State, int]:
        """By state; absent states have none."""
        ...

    async def list_queues(self) -> Sequence[QueueStatus]:
        """Queues with anything on them, by name."""
        ...

    async def list_workers(self) -> Sequence[WorkerStatus]:
        """By start."""
        ...

    async def prune(self, where: InstanceFilter, *, after: Ended | None = None, limit: int = 100) -> Pruned:
        """Remove the next up to `limit` ended instances that match, oldest end first, past `after`.

        Running ones are never touched, and those are passed over whose messages are on their way, or that somebody else is
        just writing. Several may do it at once: each is removed, and counted, by one.
        """
        ...

    async def put_blob(self, instance_key: int, blob_id: bytes, data: bytes) -> None:
        """Keep bytes apart, of this instance, with which they are removed. Repeating it changes nothing."""
        ...

    async def read_blob(self, blob_id: bytes) -> bytes:
        """Raises StoreCorrupt if there is none."""
        ...

    async def put_setting(self, kind: SettingKind, name: str, value: bytes) -> None:
        """Set or replace. Queue limits (a JSON QueueLimits) bind all workers from the next claim on."""
        ...

    async def list_settings(self, kind: SettingKind) -> dict[str, bytes]:
        """By name."""
        ...

    async def delete_setting(self, kind: SettingKind, name: str) -> bool:
        """Whether there was one."""
        ...

    def export_instances(self, where: InstanceFilter = ...) -> AsyncIterator[ExportedInstance]:
        """Every matching instance with all that belongs to it, oldest first."""
        ...

    async def import_instance(self, exported: ExportedInstance) -> bool:
        """Take an instance in, under no lease. False if it is here already (same execution): importing twice is once.

        Raises InstanceAlreadyExists if another instance has the id.
        """
        ...

    async def seal(self, target: str | None) -> None:
        """Refuse every later transition with StoreSealed(target), changing all tokens; None opens it again.

        With `seals.filling_from(url)` the store is on its way in instead of out: the refusal is StoreFilling, and
        `import_instance` and `put_setting` go through. Sealing a sealed store replaces the seal.
        """
        ...

    async def now(self) -> datetime:
        """The store's time."""
        ...


class Backend(Tasks, Inspection, Protocol):
    """A store, opened on one event loop."""

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        ...

    async def open(self) -> None:
        """Connect, migrate the schema (unless told not to), judge the server's settings. Raises StoreError."""
        ...

    async def close(self) -> None:
        """What was acknowledged stays; transitions on their way are finished first."""
        ...

    def twin(self) -> Backend:
        """The same store for another event loop in another thread, not opened yet."""
        ...
