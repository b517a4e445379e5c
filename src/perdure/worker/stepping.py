"""The three parts of a step of an instance: load its execution, apply what has arrived, write the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from perdure.backends.answers import Answer
from perdure.backends.weight import whole
from perdure.clock import Micros
from perdure.engine.apart import InputApart
from perdure.engine.execution import Execution
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import Event, ExecutionStarted
from perdure.model.reference import read_reference
from perdure.model.task import PendingEvent, WorkflowTask
from perdure.model.transition import Checkpointed, CompleteWorkflowTask, Offer, Rejected
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.guard import Guard, GuardMode
from perdure.worker.measuring import Measure
from perdure.worker.possessions import Possessions
from perdure.worker.seat import Result, Seat, Work
from perdure.worker.store_time import StoreTime

_FETCHED_AT_ONCE = 64 * 1024 * 1024


class StaleTask(Exception):
    """The history isn't as long as the task says: its lease is over, or soon will be."""


class Stepper:
    """Carries out the parts; knows nothing of seats but the one it is given."""

    def __init__(self, has: Possessions, time: StoreTime) -> None:
        self._backend = has.backend
        self._app = has.app
        self._time = time
        self._limits = has.options.limits
        mode = has.options.guard
        self._guard = None if mode is GuardMode.OFF else Guard(has.loggers.workflow, raises=mode is GuardMode.RAISE)
        self._watcher = has.watcher
        self._logger = has.loggers.workflow
        self._reading = Backoff(has.logger, "reading a history")
        self.applying: Seat | None = None
        """Whose workflow code runs now: for the watchdog, which looks from another thread."""

    def load_new(self, seat: Seat, task: WorkflowTask) -> None:
        """Bring an execution into memory that has no history yet."""
        definition = self._app.workflows[task.workflow]
        seat.load(Execution(task, definition, self._app, limits=self._limits, logger=self._logger))

    def apply_ahead(self, seat: Seat, task: WorkflowTask, started: ExecutionStarted) -> Checkpoint | None:
        """Take the first step of an instance that isn't there yet. None if it asks for a side effect, which must wait.

        Raises what the engine does.
        """
        self.load_new(seat, task)
        execution = seat.execution
        assert execution is not None
        execution.go_ahead()
        measure = None if self._watcher is None else Measure(self._watcher, seat, Work(None, ()), task.now)
        self.applying = seat
        try:
            checkpoint = self._run(execution, (PendingEvent(0, started),), task.now)
        finally:
            self.applying = None
        if measure is not None:
            measure.done()
        return None if execution.waits_for_instance else checkpoint

    async def load(self, seat: Seat, task: WorkflowTask) -> None:
        """Bring the execution into memory. Raises StaleTask, and what replay and StoreCorrupt say of the history."""
        stored = await until_done(
            lambda: self._backend.read_events(task.instance_key, task.execution_id), self._reading
        )
        if len(stored) != task.position:
            raise StaleTask
        events = [each.event for each in stored]
        try:
            await self._replay(seat, task, events)
        except InputApart:
            seat.unload()
            await self._replay(seat, task, events, asks_for_inputs=True)
        await self.fetch(seat, self._missing_of(seat, task))

    async def _replay(
        self, seat: Seat, task: WorkflowTask, events: Sequence[Event], *, asks_for_inputs: bool = False
    ) -> None:
        definition = self._app.workflows[task.workflow]
        execution = Execution(
            task, definition, self._app, limits=self._limits, logger=self._logger, asks_for_inputs=asks_for_inputs
        )
        seat.load(execution, is_read=True)
        self.applying = seat
        try:
            replaying = execution.replaying(events)
            for missing in replaying if self._guard is None else self._guarded(replaying):
                if missing:
                    self.applying = None
                    await self.fetch(seat, missing)
                    if seat.execution is None:
                        raise StaleTask
                    self.applying = seat
        finally:
            self.applying = None

    def missing(self, seat: Seat, work: Work) -> Sequence[bytes]:
        """References to what has to be fetched before the step, or before the first part of it: not all may fit into memory."""
        return () if work.task is None else self._missing_of(seat, work.task)

    def _missing_of(self, seat: Seat, task: WorkflowTask) -> Sequence[bytes]:
        execution, found, size = seat.execution, list[bytes](), 0
        if execution is None:
            return found
        for arrived in seat.unread(task):
            for reference in execution.missing(arrived.event):
                found.append(reference)
                size += read_reference(reference).size
            if size > _FETCHED_AT_ONCE:
                break
        return found

    async def fetch(self, seat: Seat, references: Sequence[bytes]) -> None:
        """Read payloads that are kept apart for the execution in memory. Raises StoreCorrupt."""
        for reference in references:
            payload = await until_done(partial(whole, self._backend, reference), self._reading)
            if seat.execution is not None:  # else it has left memory meanwhile
                seat.execution.hand_over({reference: payload})

    def apply(self, seat: Seat, work: Work) -> Checkpoint:
        """Apply the results and the unread events, in line. Raises what the engine does."""
        execution = seat.execution
        assert execution is not None
        now = self._time.now()
        pending = [result.event for result in work.results]
        if work.task is not None:
            now = max(now, work.task.now)
            pending += seat.unread(work.task)
        measure = None if self._watcher is None else Measure(self._watcher, seat, work, now)
        self.applying = seat
        try:
            checkpoint = self._run(execution, pending, now)
        finally:
            self.applying = None
        if measure is not None:
            measure.done()
        if checkpoint.consumed:
            seat.applied_through = max(seat.applied_through, *checkpoint.consumed)
        return checkpoint

    def _guarded(self, replaying: Iterator[Sequence[bytes]]) -> Iterator[Sequence[bytes]]:
        assert self._guard is not None
        while (missing := self._guard.call(partial(next, replaying, None))) is not None:
            yield missing

    def _run(self, execution: Execution, pending: Sequence[PendingEvent], now: Micros) -> Checkpoint:
        if self._guard is None:
            return execution.apply(pending, now)
        return self._guard.call(execution.apply, pending, now)

    def let_ask(self, seat: Seat) -> None:
        """Give the execution to those who wait to ask it something: what it has applied is durable."""
        askers, seat.askers = seat.askers, []
        self.applying = seat
        try:
            for ask in askers:
                ask(seat.execution)
        finally:
            self.applying = None

    def submit(
        self, seat: Seat, checkpoint: Checkpoint, results: tuple[Result, ...], *, release: bool, offer: Offer | None
    ) -> Answer[Checkpointed | Rejected]:
        """Write the checkpoint, and with it the ends of the activities whose results it has applied."""
        return self._backend.submit(
            CompleteWorkflowTask(
                instance_key=seat.instance_key,
                token=seat.token,
                checkpoint=checkpoint,
                fused=tuple([result.fused for result in results]),
                release=release,
                offer=offer,
            )
        )
