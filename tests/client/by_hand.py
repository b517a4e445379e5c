"""A worker by hand: what a worker would write, written to the real store one step at a time."""

from __future__ import annotations

from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.protocol import WorkerStart
from perdure.clock import random_id
from perdure.model.checkpoint import Checkpoint, Closing, NewActivity, NextExecution
from perdure.model.event import ActivityScheduled, ExecutionCompleted, ExecutionContinued, ExecutionStarted
from perdure.model.failure import Failure
from perdure.model.instance import State
from perdure.model.retry import NO_RETRY, stored_retry
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Checkpointed, Claimed, ClaimTasks, CompleteWorkflowTask, MarkStuck


class Hand:
    """Claims every workflow of the names it is given, one after the other."""

    def __init__(self, backend: MemoryBackend, *names: str) -> None:
        self._backend = backend
        self._names = frozenset(names)
        self._worker: int | None = None

    async def claim(self) -> WorkflowTask:
        """The one workflow task that is due."""
        [task] = (await self._claim(workflow_slots=1)).workflow_tasks
        return task

    async def claim_activity(self) -> ActivityTask:
        [task] = (await self._claim(activity_slots=1)).activity_tasks
        return task

    async def _claim(self, *, workflow_slots: int = 0, activity_slots: int = 0) -> Claimed:
        if self._worker is None:
            start = WorkerStart(name="hand", workflow_queues=("default",), activity_queues=("default",))
            self._worker = await self._backend.start_worker(start)
        return await self._backend.commit(
            ClaimTasks(
                worker_key=self._worker,
                workflow_queues=("default",),
                workflow_slots=workflow_slots,
                workflow_names=self._names,
                activity_queues=("default",),
                activity_slots=activity_slots,
                activity_names=frozenset({"charge", "Payments.charge"}),
            )
        )

    async def end(
        self,
        state: State = State.COMPLETED,
        *,
        result: bytes | None = b"null",
        failure: Failure | None = None,
        published: dict[str, bytes] | None = None,
    ) -> WorkflowTask:
        """End the instance that is due."""
        task = await self.claim()
        closing = Closing(state=state, result=result if state is State.COMPLETED else None, failure=failure)
        await self._checkpoint(task, Checkpoint(
            position=task.position,
            events=(_started(task), ExecutionCompleted(result=result or b"")),
            consumed=tuple(pending.id for pending in task.pending),
            closing=closing,
            published=published or {},
        ))  # fmt: skip
        return task

    async def go_on(self, *, published: dict[str, bytes] | None = None, activity: str | None = None) -> WorkflowTask:
        """A step that leaves the instance waiting, if need be for an activity."""
        task = await self.claim()
        scheduled = () if activity is None else (
            ActivityScheduled(number=1, name=activity, arguments=b"[]", digest=b"", queue="default"),
        )  # fmt: skip
        wanted = () if activity is None else (
            NewActivity(
                number=1, name=activity, arguments=b"[]", queue="default", priority=0, retry=stored_retry(NO_RETRY)
            ),
        )  # fmt: skip
        await self._checkpoint(task, Checkpoint(
            position=task.position,
            events=(_started(task), *scheduled),
            consumed=tuple(pending.id for pending in task.pending),
            activities=wanted,
            published=published or {},
        ))  # fmt: skip
        return task

    async def mark_stuck(self, reason: str = "HistoryTooLong: it is") -> None:
        """The one that is due, until resume."""
        task = await self.claim()
        marked = MarkStuck(instance_key=task.instance_key, token=task.token, reason=reason, retry_in=None)
        assert await self._backend.commit(marked)

    async def continue_as_new(self, workflow: str, arguments: bytes) -> None:
        task = await self.claim()
        started = ExecutionStarted(at=0, workflow=workflow, arguments=arguments, python="", execution_number=2)
        following = NextExecution(execution_id=random_id(), workflow=workflow, started=started, digest=b"other")
        continued = ExecutionContinued(workflow=workflow, arguments=arguments, digest=b"other")
        await self._checkpoint(task, Checkpoint(
            position=task.position,
            events=(_started(task), continued),
            consumed=tuple(pending.id for pending in task.pending),
            closing=Closing(state=State.CONTINUED_AS_NEW, following=following),
        ))  # fmt: skip

    async def _checkpoint(self, task: WorkflowTask, checkpoint: Checkpoint) -> None:
        answer = await self._backend.commit(
            CompleteWorkflowTask(instance_key=task.instance_key, token=task.token, checkpoint=checkpoint, release=True)
        )
        assert isinstance(answer, Checkpointed), answer


def _started(task: WorkflowTask) -> ExecutionStarted:
    [started] = [pending.event for pending in task.pending if isinstance(pending.event, ExecutionStarted)]
    return started
