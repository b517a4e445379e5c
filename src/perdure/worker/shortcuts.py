"""What a client in the worker's own process asks for: starts and signals, without the way over a claim.

A start: the first workflow task runs at once, and is committed with the creation; one commit instead of three (create, claim,
checkpoint). Workflow code runs one step ahead of the store, as with a fused result: nothing that it asks for begins before the
commit, and a side effect waits for the instance to be there. If the store doesn't take the step (the id is taken, older work
waits, the answer was lost), the execution leaves memory, and the instance, if it is there, is claimed like any other. While
others wait, no further step is taken in vain.

A signal: the workflow task that it makes due comes back with its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec

from perdure.app import App
from perdure.backends.answers import Answer, may_have_happened
from perdure.backends.beginnings import begun
from perdure.backends.protocol import Backend
from perdure.clock import Micros
from perdure.model.checkpoint import Checkpoint
from perdure.model.task import WorkflowTask
from perdure.model.transition import (
    Appended,
    AppendEvent,
    Created,
    CreateInstance,
    Existing,
    FirstStep,
    NotAppended,
    Offer,
)
from perdure.observability.logging import Log, text_of
from perdure.worker.backlog import Backlog
from perdure.worker.executions import Executions
from perdure.worker.hand_back import HandBack
from perdure.worker.options import WorkerOptions
from perdure.worker.seat import Seat, Step
from perdure.worker.slots import Slots
from perdure.worker.stepping import Stepper
from perdure.worker.store_time import StoreTime

Creation = Created | Existing
Appending = Appended | NotAppended


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What shortcuts need of their worker."""

    backend: Backend
    app: App
    options: WorkerOptions
    slots: Slots
    """Of activities."""
    executions: Executions
    stepper: Stepper
    hand_back: HandBack
    backlog: Backlog
    time: StoreTime
    is_held: Callable[[], bool]
    offer_of_task: Callable[[], Offer | None]
    """For what makes a workflow task due, while there is room for one more."""
    uncertain: Callable[[], None]
    """The answer was lost to what may have leased something."""
    logger: Log


class Shortcuts:
    """Takes them, while the worker has room."""

    def __init__(self, has: Surroundings) -> None:
        self._has = has
        self._loop = asyncio.get_running_loop()
        self._asked: list[tuple[CreateInstance, asyncio.Future[Creation | None]]] = []

    def create(self, asked: CreateInstance) -> asyncio.Future[Creation | None] | None:
        """Create the instance with its first step; None if that isn't for this worker to take, here and now.

        The future gives None if the step turns out not to be for this worker after all, and raises what the commit raises;
        after StoreUnavailable, too, the start has to be repeated without a step.
        """
        if not self._is_ours(asked) or not self._has_room():
            return None
        self._has.executions.keep_places(1)
        told: asyncio.Future[Creation | None] = self._loop.create_future()
        self._asked.append((asked, told))
        if len(self._asked) == 1:
            self._loop.call_soon(self._take_steps)
        return told

    def _take_steps(self) -> None:
        """Those of one turn of the loop, stage by stage, as in `Executions`."""
        asked, self._asked = self._asked, []
        steps = [(start, told, *self._apply(start)) for start, told in asked]
        for start, told, seat, checkpoint in steps:
            try:
                if checkpoint is not None:
                    self._send(start, told, seat, checkpoint)
                    continue
            except Exception:  # a fault of ours: it harms this start alone, which is made without a step
                self._has.logger.exception("a fault in perdure's worker: please report it", extra=seat.log_fields)
                seat.unload()
            self._has.executions.free_places(1)
            if not told.done():
                told.set_result(None)

    def _apply(self, asked: CreateInstance) -> tuple[Seat, Checkpoint | None]:
        has = self._has
        now = has.time.now()
        task = _first_task(asked, now)
        seat = Seat(task)
        if has.hand_back.is_stopped or has.executions.is_retiring:  # since it was asked for
            return seat, None
        try:
            checkpoint = has.stepper.apply_ahead(seat, task, begun(asked, now))
        except Exception as problem:  # the claimed task says it again, and marks the instance stuck
            has.logger.info(
                "the first step of %s isn't taken with its start: %s",
                asked.instance_id,
                text_of(problem),
                extra=seat.log_fields,
            )
            checkpoint = None
        if checkpoint is None:
            seat.unload()
        return seat, checkpoint

    def _send(
        self, asked: CreateInstance, told: asyncio.Future[Creation | None], seat: Seat, checkpoint: Checkpoint
    ) -> None:
        has = self._has
        keeps = has.executions.keeps(checkpoint)
        offer = has.hand_back.offer_with_start(checkpoint, workflow_task=keeps)
        assert seat.execution is not None
        step = Step(checkpoint, (), offer, keeps, conclude=seat.execution.conclusion(checkpoint))
        first = FirstStep(checkpoint=checkpoint, offer=offer, release=not keeps)
        answer = has.backend.submit(msgspec.structs.replace(asked, first_step=first))
        answer.add_done_callback(partial(self._created, seat, step, told))

    def append(self, asked: AppendEvent) -> asyncio.Future[Appending] | None:
        """Append the event; if the instance can be worked on here, its task comes back at once. None: not here and now.

        The future raises what the commit raises.
        """
        has = self._has
        offer = has.offer_of_task() if has.is_held() else None
        if offer is None:
            return None
        told: asyncio.Future[Appending] = self._loop.create_future()
        answer = has.backend.submit(msgspec.structs.replace(asked, offer=offer))
        answer.add_done_callback(partial(self._appended, told))
        return told

    def _is_ours(self, asked: CreateInstance) -> bool:
        options = self._has.options
        return (
            asked.start_delay == 0
            and asked.queue in options.workflow_queues
            and asked.workflow in self._has.app.workflows
            and (options.versions is None or asked.version in options.versions)
        )

    def _has_room(self) -> bool:
        """As much as a claim asks for."""
        has = self._has
        return (
            not has.hand_back.is_stopped
            and not has.executions.is_retiring
            and has.executions.busy_count < has.options.max_workflow_tasks
            and has.is_held()
            and has.backlog.may_begin(has_slot=has.slots.free_count > 0 or not has.options.activity_queues)
        )

    def _created(self, seat: Seat, step: Step, told: asyncio.Future[Creation | None], answer: Answer[Creation]) -> None:
        has = self._has
        has.executions.free_places(1)
        try:
            outcome = answer.result()
        except BaseException as problem:
            self._drop(seat, step)
            if may_have_happened(problem):
                has.uncertain()
                if step.conclude is not None:
                    step.conclude()  # perhaps twice, but not never
            if not told.done():
                told.set_exception(problem)
            return
        if isinstance(outcome, Created) and outcome.first is not None:
            seat.created(outcome.instance_key, outcome.token)
            has.executions.deliver_first_step(seat, step, outcome.first)
        else:
            if isinstance(outcome, Created):
                has.backlog.declined()
            self._drop(seat, step)
        if not told.done():
            told.set_result(outcome)

    def _appended(self, told: asyncio.Future[Appending], answer: Answer[Appending]) -> None:
        try:
            outcome = answer.result()
        except BaseException as problem:
            if may_have_happened(problem):
                self._has.uncertain()
            if not told.done():
                told.set_exception(problem)
            return
        if isinstance(outcome, Appended) and outcome.workflow_task is not None and not self._has.executions.is_over:
            self._has.executions.deliver_task(outcome.workflow_task)
        if not told.done():
            told.set_result(outcome)

    def _drop(self, seat: Seat, step: Step) -> None:
        """The store has nothing of the step."""
        seat.unload()
        self._has.hand_back.withdraw(step.offer)


def _first_task(asked: CreateInstance, now: Micros) -> WorkflowTask:
    """The task that a claim would bring, but for what the store draws, and its event."""
    return WorkflowTask(
        instance_key=0,
        instance_id=asked.instance_id,
        execution_id=asked.execution_id,
        workflow=asked.workflow,
        queue=asked.queue,
        priority=asked.priority,
        version=asked.version,
        parent=None,
        token=0,
        position=0,
        history_bytes=0,
        now=now,
        pending=(),
        created_at=now,
        deadline_at=None if asked.timeout is None else now + asked.timeout,
    )
