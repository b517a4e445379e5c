"""The store under test, and workers as tests play them: by hand, one transition after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from perdure.backends.protocol import Backend, WorkerStart
from perdure.clock import Micros
from perdure.model.event import CarriedSignal, Event, ExecutionStarted
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import (
    ActivityResult,
    Appended,
    AttemptEnd,
    Checkpointed,
    Claimed,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    Created,
    CreateInstance,
    FusedResult,
    Heartbeat,
    MarkStuck,
    Offer,
    Recorded,
    RecordHeartbeat,
    Rejected,
    ReleaseInstance,
)
from perdure.testing.conformance import builders

QUEUES = ("default",)
WORKFLOWS = frozenset({"checkout", "ship"})
ACTIVITIES = frozenset({"charge", "pack"})

NOT_SERVING: tuple[dict[str, Any], ...] = (
    {"workflow_queues": ()},
    {"workflow_names": frozenset()},
    {"versions": frozenset({"2"})},
)
"""Starts of workers that can't claim a plain instance."""


class ManualClock:
    """A clock that stands still until it is told to go on, for stores that take one."""

    def __init__(self, now: Micros = 1_700_000_000_123_457) -> None:
        self._now = now

    def now(self) -> Micros:
        return self._now

    def monotonic(self) -> float:
        return self._now / 1_000_000

    def advance(self, seconds: float) -> None:
        """Go on, or (a negative number) jump back."""
        self._now += round(seconds * 1_000_000)


class StoreUnderTest:
    """An open store, and what the suite needs to know of it.

    `advance(seconds)` lets the store's clock go on: a manual one at once, a real one by sleeping. `unit_seconds` is how
    long a test's unit of time is: a second with a manual clock, as short as the store can tell apart with a real one.
    `count_rows` counts all rows that belong to instances (indexes and outboxes of a key-value store included; not
    workers and settings); None skips the tests that need it. `neighbours` are ids of instances whose messages to each
    other arrive inside the checkpoint that sends them: in a store with several partitions, some of one partition.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        advance: Callable[[float], Awaitable[None]],
        unit_seconds: float = 1.0,
        is_clock_manual: bool = True,
        count_rows: Callable[[], Awaitable[int]] | None = None,
        neighbours: Sequence[str] = tuple("abcdefghi"),
    ) -> None:
        self.backend = backend
        self.unit_seconds = unit_seconds
        self.is_clock_manual = is_clock_manual
        self.count_rows = count_rows
        self.neighbours = neighbours
        self._advance = advance

    async def advance(self, units: float) -> None:
        """Let time pass."""
        await self._advance(units * self.unit_seconds)

    def micros(self, units: float) -> Micros:
        """A length of time."""
        return round(units * self.unit_seconds * 1_000_000)

    async def create(self, instance_id: str = "order-1", *signals: str, **changes: Any) -> Created:
        """A new instance, to which signals of these names have come."""
        outcome = await self.backend.commit(builders.create(instance_id, **changes))
        assert isinstance(outcome, Created), outcome
        for name in signals:
            await self.signal(instance_id, name)
        return outcome

    async def signal(self, instance_id: str = "order-1", name: str = "approval", **changes: Any) -> None:
        """A signal that is taken."""
        outcome = await self.backend.commit(builders.append_signal(instance_id, name, **changes))
        assert outcome == Appended()

    async def cancel(self, instance_id: str = "order-1") -> None:
        """A cancel that is taken."""
        assert await self.backend.commit(builders.append_cancel(instance_id)) == Appended()

    async def worker(self, name: str = "worker-1", **changes: Any) -> PlayedWorker:
        """A worker that has started. `lease` is in units of time."""
        lease = changes.pop("lease", None)
        if lease is not None:
            changes["lease_seconds"] = lease * self.unit_seconds
        fields: dict[str, Any] = {
            "workflow_queues": QUEUES,
            "activity_queues": QUEUES,
            "workflow_names": WORKFLOWS,
            "activity_names": ACTIVITIES,
        }
        start = WorkerStart(name=name, **{**fields, **changes})
        return PlayedWorker(self.backend, await self.backend.start_worker(start), start)

    async def scheduled(self, worker: PlayedWorker, instance_id: str = "order-1", **changes: Any) -> ActivityTask:
        """An activity attempt of a new instance, in the hands of the worker."""
        await self.create(instance_id)
        await worker.run(activities=(builders.activity(**changes),))
        return await worker.claim_activity()

    async def finished(self, worker: PlayedWorker, instance_id: str = "order-1", **parts: Any) -> None:
        """A new instance that has ended, completed unless `closing` says otherwise."""
        await self.create(instance_id)
        await worker.run(release=True, **{"closing": builders.completed(), **parts})


class PlayedWorker:
    """A worker played by hand. Its methods that are named for what is done assert that it could be done."""

    def __init__(self, backend: Backend, key: int, start: WorkerStart) -> None:
        self.backend = backend
        self.key = key
        self.start = start

    def start_request(
        self, instance_id: str = "order-1", *commands: Event, start: dict[str, Any] | None = None, **parts: Any
    ) -> CreateInstance:
        """A start of which this worker has taken the first step; `start` has the request's fields, `parts` the step's."""
        offer = parts.pop("offer", None) or self.offer()
        return builders.with_step(builders.create(instance_id, **(start or {})), offer, *commands, **parts)

    async def begin(self, instance_id: str = "order-1", *commands: Event, **parts: Any) -> Begun:
        """Start an instance with its first step, which is taken with it."""
        request = self.start_request(instance_id, *commands, **parts)
        outcome = await self.backend.commit(request)
        assert isinstance(outcome, Created), outcome
        assert outcome.first is not None
        return Begun(outcome, outcome.first, in_memory(request, outcome))

    async def claim(self, workflow_slots: int = 100, activity_slots: int = 100, **changes: Any) -> Claimed:
        start = self.start
        fields: dict[str, Any] = {
            "workflow_queues": start.workflow_queues,
            "workflow_names": start.workflow_names,
            "activity_queues": start.activity_queues,
            "activity_names": start.activity_names,
            "versions": start.versions,
        }
        return await self.backend.commit(
            ClaimTasks(
                worker_key=self.key,
                workflow_slots=workflow_slots,
                activity_slots=activity_slots,
                **{**fields, **changes},
            )
        )

    async def claim_workflow_tasks(self, slots: int = 100) -> tuple[WorkflowTask, ...]:
        return (await self.claim(slots, 0)).workflow_tasks

    async def claim_activities(self, slots: int = 100) -> tuple[ActivityTask, ...]:
        return (await self.claim(0, slots)).activity_tasks

    async def claim_workflow_task(self) -> WorkflowTask:
        """The only workflow task that is due."""
        (task,) = await self.claim_workflow_tasks()
        return task

    async def claim_activity(self) -> ActivityTask:
        """The only activity task that is due."""
        (task,) = await self.claim_activities()
        return task

    def offer(self, activities: int = 100, *, workflow_task: bool = True) -> Offer:
        """Free for anything that it serves."""
        return Offer(self.key, self.start.activity_queues, activities, self.start.activity_names, workflow_task)

    async def try_checkpoint(
        self,
        task: WorkflowTask,
        *commands: Event,
        fused: tuple[FusedResult, ...] = (),
        release: bool = False,
        offer: Offer | None = None,
        token: int | None = None,
        **parts: Any,
    ) -> Checkpointed | Rejected:
        return await self.backend.commit(
            CompleteWorkflowTask(
                instance_key=task.instance_key,
                token=task.token if token is None else token,
                checkpoint=builders.checkpoint(task, *commands, **parts),
                fused=fused,
                release=release,
                offer=offer,
            )
        )

    async def checkpoint(self, task: WorkflowTask, *commands: Event, **parts: Any) -> Checkpointed:
        """Apply what the task brought, with these parts."""
        outcome = await self.try_checkpoint(task, *commands, **parts)
        assert isinstance(outcome, Checkpointed), outcome
        return outcome

    async def run(self, *commands: Event, **parts: Any) -> WorkflowTask:
        """Claim the only workflow task that is due, and write its checkpoint."""
        task = await self.claim_workflow_task()
        await self.checkpoint(task, *commands, **parts)
        return task

    async def complete(
        self,
        task: ActivityTask,
        end: AttemptEnd | None = None,
        offer: Offer | None = None,
    ) -> Recorded | Rejected:
        """Say how an attempt ended; with a result if nothing else is said."""
        return await self.backend.commit(
            CompleteActivityTask(
                activity_key=task.activity_key, token=task.token, end=end or ActivityResult(b"1"), offer=offer
            )
        )

    async def heartbeat(self, task: ActivityTask, details: bytes | None = None) -> Heartbeat:
        return await self.backend.commit(
            RecordHeartbeat(activity_key=task.activity_key, token=task.token, details=details)
        )

    async def release(self, task: WorkflowTask) -> bool:
        return await self.backend.commit(ReleaseInstance(instance_key=task.instance_key, token=task.token))

    async def mark_stuck(self, task: WorkflowTask, retry_in: Micros | None, reason: str = "no such code") -> bool:
        return await self.backend.commit(
            MarkStuck(instance_key=task.instance_key, token=task.token, reason=reason, retry_in=retry_in)
        )

    async def retire(self, *running: ActivityTask) -> None:
        """With these attempts still to end."""
        await self.backend.retire_worker(self.key, {(task.activity_key, task.token) for task in running})

    async def stop(self) -> None:
        await self.backend.stop_worker(self.key)


class Begun(NamedTuple):
    """What came of a start with its first step."""

    created: Created
    first: Checkpointed
    task: WorkflowTask
    """The execution in memory, as a task that brought nothing more."""


def in_memory(request: CreateInstance, created: Created) -> WorkflowTask:
    """The execution as it is in memory after its first step, for checkpoints that follow."""
    assert request.first_step is not None
    return WorkflowTask(
        instance_key=created.instance_key,
        instance_id=request.instance_id,
        execution_id=created.execution_id,
        workflow=request.workflow,
        queue=request.queue,
        priority=request.priority,
        version=request.version,
        parent=None,
        token=created.token,
        position=len(request.first_step.checkpoint.events),
        history_bytes=0,
        now=0,
        pending=(),
        created_at=0,
    )


def names_of(task: WorkflowTask) -> list[str]:
    """The kinds of a task's pending events, signals by their names."""
    return [getattr(pending.event, "name", type(pending.event).__name__) for pending in task.pending]


def carried_by(task: WorkflowTask) -> tuple[CarriedSignal, ...]:
    """The signals that the execution finds at its first step."""
    started = task.pending[0].event
    assert isinstance(started, ExecutionStarted)
    return started.carried
