"""A real store, whose leases are written to the witness as they come and go."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, cast

from perdure.backends.answers import Answer
from perdure.backends.protocol import Backend, Beat, WorkerStart
from perdure.model.event import ExecutionContinued
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import (
    ActivityFailure,
    ActivityResult,
    Checkpointed,
    Claimed,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    MarkStuck,
    Recorded,
    ReleaseInstance,
    Transition,
)
from tests.chaos.witness import (
    Announced,
    Asked,
    Beaten,
    GivesUp,
    HandsFree,
    Kind,
    Leased,
    SignsOff,
    Thing,
    Witness,
    Written,
)


def witnessed(backend: Backend, witness: Witness) -> Backend:
    """The same store; what a worker does with it is seen."""
    return cast("Backend", _Witnessed(backend, witness, {}))


class _Witnessed:
    def __init__(self, backend: Backend, witness: Witness, names: dict[int, str]) -> None:
        self._backend = backend
        self._witness = witness
        self._names = names
        """Instance ids by the keys of what was leased: transitions have the keys alone."""

    async def commit(self, transition: Transition[Any]) -> Any:
        asked_at = self._asked(transition)
        outcome = await self._backend.commit(transition)
        self._answered(transition, asked_at, outcome)
        return outcome

    def submit(self, transition: Transition[Any]) -> Answer[Any]:
        asked_at = self._asked(transition)
        inner = self._backend.submit(transition)
        outer: Answer[Any] = Answer(inner.loop)
        inner.add_done_callback(partial(self._pass_on, transition, asked_at, outer))
        return outer

    def _pass_on(self, transition: Transition[Any], asked_at: float, outer: Answer[Any], inner: Answer[Any]) -> None:
        outer.outcome, outer.error = inner.outcome, inner.error
        if inner.error is None:
            self._answered(transition, asked_at, inner.outcome)
        outer.settle()

    async def start_worker(self, start: WorkerStart) -> int:
        asked_at = time.monotonic()
        key = await self._backend.start_worker(start)
        self._witness.saw(Announced(worker=key, asked_at=asked_at, lease_seconds=start.lease_seconds))
        return key

    async def stop_worker(self, worker_key: int) -> None:
        self._witness.saw(SignsOff(worker=worker_key))
        await self._backend.stop_worker(worker_key)

    async def beat(self, worker_key: int) -> Beat:
        asked_at = time.monotonic()
        answer = await self._backend.beat(worker_key)
        if answer.is_alive:
            self._witness.saw(Beaten(worker=worker_key, asked_at=asked_at))
        return answer

    def twin(self) -> Backend:
        return cast("Backend", _Witnessed(self._backend.twin(), self._witness, self._names))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    # --- before and after

    def _asked(self, transition: Transition[Any]) -> float:
        at = time.monotonic()
        match transition:
            case CompleteWorkflowTask(checkpoint=checkpoint):
                thing = self._thing(Kind.INSTANCE, transition.instance_key)
                self._witness.saw(Asked(at=at, thing=thing, token=transition.token))
                if transition.release or checkpoint.closing is not None:
                    self._gives_up(Kind.INSTANCE, transition.instance_key, transition.token, at)
                for fused in transition.fused:
                    self._gives_up(Kind.ACTIVITY, fused.activity_key, fused.token, at)
            case ReleaseInstance() | MarkStuck():
                self._gives_up(Kind.INSTANCE, transition.instance_key, transition.token, at)
            case CompleteActivityTask():
                self._gives_up(Kind.ACTIVITY, transition.activity_key, transition.token, at)
            case _:
                pass
        return at

    def _answered(self, transition: Transition[Any], asked_at: float, outcome: object) -> None:
        match transition, outcome:
            case ClaimTasks(), Claimed():
                self._leased(transition.worker_key, asked_at, *outcome.workflow_tasks, *outcome.activity_tasks)
                self._claimed(transition, asked_at, outcome)
            case CompleteWorkflowTask(), Checkpointed():
                self._checkpointed(transition, asked_at, outcome)
            case CompleteActivityTask(), Recorded():
                is_end = isinstance(transition.end, (ActivityResult, ActivityFailure))
                self._written(Kind.ACTIVITY, transition.activity_key, transition.token, asked_at, ends=is_end)
                if outcome.workflow_task is not None and transition.offer is not None:
                    self._leased(transition.offer.worker_key, asked_at, outcome.workflow_task)
            case _:
                pass

    def _checkpointed(self, transition: CompleteWorkflowTask, asked_at: float, outcome: Checkpointed) -> None:
        checkpoint = transition.checkpoint
        for fused in transition.fused:
            self._written(Kind.ACTIVITY, fused.activity_key, fused.token, asked_at, ends=True, is_fused=True)
        ends = checkpoint.closing is not None and not isinstance(checkpoint.events[-1], ExecutionContinued)
        due_at = checkpoint.next_timer_at
        timer = None if due_at is None else due_at / 1_000_000 - time.time() + time.monotonic()
        self._written(
            Kind.INSTANCE, transition.instance_key, transition.token, asked_at, ends=ends, next_timer_at=timer
        )
        if transition.offer is not None:
            tasks = () if outcome.workflow_task is None else (outcome.workflow_task,)
            self._leased(transition.offer.worker_key, asked_at, *outcome.activities, *tasks)

    # --- lines

    def _claimed(self, claim: ClaimTasks, asked_at: float, outcome: Claimed) -> None:
        if outcome.next_due_at is not None and outcome.next_due_at <= outcome.now:
            return  # there is more, it is said
        if len(outcome.workflow_tasks) < claim.workflow_slots:
            self._witness.saw(HandsFree(kind=Kind.INSTANCE, asked_at=asked_at))
        if len(outcome.activity_tasks) < claim.activity_slots:
            self._witness.saw(HandsFree(kind=Kind.ACTIVITY, asked_at=asked_at))

    def _leased(self, worker_key: int, asked_at: float, *tasks: WorkflowTask | ActivityTask) -> None:
        for task in tasks:
            if isinstance(task, ActivityTask):
                thing, parent = Thing(Kind.ACTIVITY, task.activity_key, task.instance_id), None
            else:
                thing, parent = Thing(Kind.INSTANCE, task.instance_key, task.instance_id), task.parent
            self._names[thing.key] = task.instance_id
            parent_id = None if parent is None else parent.instance_id
            self._witness.saw(
                Leased(thing=thing, token=task.token, worker=worker_key, asked_at=asked_at, parent=parent_id)
            )

    def _gives_up(self, kind: Kind, key: int, token: int, at: float) -> None:
        self._witness.saw(GivesUp(at=at, thing=self._thing(kind, key), token=token))

    def _written(self, kind: Kind, key: int, token: int, asked_at: float, **more: Any) -> None:
        self._witness.saw(Written(thing=self._thing(kind, key), token=token, asked_at=asked_at, **more))

    def _thing(self, kind: Kind, key: int) -> Thing:
        return Thing(kind, key, self._names[key])
