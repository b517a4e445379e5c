"""What a worker holds of one instance: its lease, its execution in memory, and what waits to be applied to it.

A seat is either *idle* (nothing to do; it may be evicted) or *busy* (one step of it runs: loading, applying or committing).
What arrives for a busy seat waits, and is applied together when the step has ended. So an instance is worked on strictly in
series, and at most one of its transitions isn't durable yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from perdure.clock import Micros
from perdure.engine.execution import Execution
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import ActivityCompleted, ActivityFailed
from perdure.model.reply import Reply
from perdure.model.task import ActivityTask, PendingEvent, WorkflowTask
from perdure.model.transition import ActivityFailure, ActivityResult, FusedResult, Offer
from perdure.observability.logging import instance_fields

FinalEnd = ActivityResult | ActivityFailure


class Result(msgspec.Struct, frozen=True):
    """How an activity of the instance ended here, not recorded yet."""

    task: ActivityTask
    end: FinalEnd

    @property
    def event(self) -> PendingEvent:
        """To be applied at once, ahead of its record."""
        number, attempts = self.task.number, self.task.attempt
        if isinstance(self.end, ActivityResult):
            return PendingEvent(-1, ActivityCompleted(at=0, number=number, result=self.end.result, attempts=attempts))
        failure, cancelled = self.end.failure, self.end.cancelled
        return PendingEvent(
            -1, ActivityFailed(at=0, number=number, failure=failure, attempts=attempts, cancelled=cancelled)
        )

    @property
    def fused(self) -> FusedResult:
        return FusedResult(self.task.activity_key, self.task.token)


class Work(msgspec.Struct, frozen=True):
    """What one step applies: results of activities first, then what the claimed task brought."""

    task: WorkflowTask | None
    results: tuple[Result, ...]


class Step(msgspec.Struct, frozen=True, gc=False):
    """A step of an execution that is on its way to the store."""

    checkpoint: Checkpoint
    results: tuple[Result, ...]
    offer: Offer | None
    keeps: bool
    """Whether the execution stays in memory, and the lease with it."""
    replies: Sequence[tuple[bytes, Reply]] = ()
    """To questions of those who wait for updates, once it is durable."""
    conclude: Callable[[], None] | None = None
    """For telemetry: once it is durable, or may be."""


class Seat:
    """One instance at this worker. Its owner is `Executions`."""

    __slots__ = (
        "_results",
        "_task",
        "applied_through",
        "askers",
        "execution",
        "execution_id",
        "instance_id",
        "instance_key",
        "is_busy",
        "is_fresh",
        "queue",
        "stuck_attempts",
        "token",
        "workflow",
    )  # fmt: skip

    def __init__(self, task: WorkflowTask) -> None:
        self.instance_key = task.instance_key
        self.instance_id = task.instance_id
        self.execution_id = task.execution_id
        self.workflow = task.workflow
        self.queue = task.queue
        self.token = task.token
        self.stuck_attempts = 0
        self.execution: Execution | None = None
        self.applied_through = -1
        """The last pending event that the execution in memory has applied."""
        self.is_busy = False
        self.is_fresh = False
        """Whether the execution in memory was read from its history, and has taken no step since."""
        self.askers: list[Callable[[Execution | None], None]] = []
        self._task: WorkflowTask | None = None
        self._results: list[Result] = []

    def add_task(self, task: WorkflowTask) -> WorkflowTask | None:
        """A task has come, by claim or hand-back; it is given the place of one that waits already.

        Of two under one lease the last one knows best. Of two leases one is over, and answers overtake each other: gives
        the task that makes way, whose lease must go back in case it is the one that holds.
        """
        displaced, self._task = self._task, task
        return displaced if displaced is not None and displaced.token != task.token else None

    def add_result(self, result: Result) -> bool:
        """Whether the result can be applied here: its execution is the one in memory, or on its way there."""
        coming = self._task.execution_id if self._task is not None else self.execution_id
        if result.task.execution_id not in (self.execution_id, coming):
            return False
        self._results.append(result)
        return True

    def drop_task(self, token: int) -> None:
        """The lease of this token is over, and with it the task that came under it."""
        if self._task is not None and self._task.token == token:
            self._task = None

    def next_work(self) -> Work | None:
        """What waits, all of it; None if nothing does."""
        if self._task is None and not self._results:
            return None
        work = Work(self._task, tuple(self._results))
        self._task = None
        self._results.clear()
        return work

    def sort_out(self, work: Work) -> tuple[Work, tuple[Result, ...]]:
        """What is for the execution in memory, and results for one that continue-as-new has ended meanwhile."""
        for result in work.results:
            if result.task.execution_id != self.execution_id:
                break
        else:
            return work, ()
        strays = tuple(result for result in work.results if result.task.execution_id != self.execution_id)
        return Work(work.task, tuple(result for result in work.results if result not in strays)), strays

    def fits(self, task: WorkflowTask) -> bool:
        """Whether the execution in memory stands where the task says, or further on under the same lease.

        Further on it is if the task was claimed while a step was on its way to the store.
        """
        execution = self.execution
        if execution is None or execution.execution_id != task.execution_id:
            return False
        return execution.position == task.position or (self.token == task.token and execution.position > task.position)

    @property
    def log_fields(self) -> dict[str, object]:
        """What a record says of whom it is about."""
        return instance_fields(self.instance_id, self.execution_id, self.workflow, self.queue)

    @property
    def is_there(self) -> bool:
        """Whether the store has the instance; its first step may be taken ahead of it."""
        return self.instance_key != 0

    def created(self, instance_key: int, token: int) -> None:
        """The instance, whose first step was taken ahead of it, is there."""
        self.instance_key, self.token = instance_key, token
        assert self.execution is not None
        self.execution.instance_is_there()

    def sit_down(self, task: WorkflowTask) -> None:
        """Take over the task's lease."""
        self.token = task.token
        self.execution_id = task.execution_id
        self.stuck_attempts = task.stuck_attempts

    def load(self, execution: Execution, *, is_read: bool = False) -> None:
        """An execution begins in memory, or is read from its history."""
        self.execution = execution
        self.workflow = execution.workflow
        self.applied_through = -1
        self.is_fresh = is_read

    def unread(self, task: WorkflowTask) -> list[PendingEvent]:
        """What of the task's events the execution in memory hasn't applied."""
        return [event for event in task.pending if event.id > self.applied_through]

    def unload(self) -> None:
        """Take the execution out of memory."""
        execution, self.execution = self.execution, None
        if execution is not None:
            execution.close()


def retry_delay(stuck_attempts: int) -> Micros:
    """When a stuck task is tried again: after 1 s, doubling to 5 min."""
    seconds: int = 2 ** min(stuck_attempts, 20)
    return min(seconds, 300) * 1_000_000
