"""The three parts of a step of an instance: load its execution, apply what has arrived, write the checkpoint."""

from __future__ import annotations

import logging

from perdure.app import App
from perdure.backends.answers import Answer
from perdure.backends.protocol import Backend
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import ExecutionStarted
from perdure.model.task import PendingEvent, WorkflowTask
from perdure.model.transition import Checkpointed, CompleteWorkflowTask, Offer, Rejected
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.seat import Result, Seat, Work
from perdure.worker.store_time import StoreTime


class StaleTask(Exception):
    """The history isn't as long as the task says: its lease is over, or soon will be."""


class Stepper:
    """Carries out the parts; knows nothing of seats but the one it is given."""

    def __init__(self, backend: Backend, app: App, time: StoreTime, *, limits: Limits, logger: logging.Logger) -> None:
        self._backend = backend
        self._app = app
        self._time = time
        self._limits = limits
        self._logger = logger
        self._reading = Backoff(logger, "reading a history")
        self.applying: Seat | None = None
        """Whose workflow code runs now: for the watchdog, which looks from another thread."""

    def load_new(self, seat: Seat, task: WorkflowTask) -> None:
        """Bring an execution into memory that has no history yet."""
        seat.load(Execution(task, self._app.workflows[task.workflow], self._app, limits=self._limits))

    def apply_ahead(self, seat: Seat, task: WorkflowTask, started: ExecutionStarted) -> Checkpoint | None:
        """Take the first step of an instance that isn't there yet. None if it asks for a side effect, which must wait.

        Raises what the engine does.
        """
        self.load_new(seat, task)
        execution = seat.execution
        assert execution is not None
        execution.go_ahead()
        self.applying = seat
        try:
            checkpoint = execution.apply((PendingEvent(0, started),), task.now)
        finally:
            self.applying = None
        return None if execution.waits_for_instance else checkpoint

    async def load(self, seat: Seat, task: WorkflowTask) -> None:
        """Bring the execution into memory. Raises StaleTask, and what replay and StoreCorrupt say of the history."""
        stored = await until_done(
            lambda: self._backend.read_events(task.instance_key, task.execution_id), self._reading
        )
        if len(stored) != task.position:
            raise StaleTask
        execution = Execution(task, self._app.workflows[task.workflow], self._app, limits=self._limits)
        seat.load(execution)
        self.applying = seat
        try:
            execution.replay([each.event for each in stored])
        finally:
            self.applying = None

    def apply(self, seat: Seat, work: Work) -> Checkpoint:
        """Apply the results and the unread events, in line. Raises what the engine does."""
        execution = seat.execution
        assert execution is not None
        now = self._time.now()
        pending = [result.event for result in work.results]
        if work.task is not None:
            now = max(now, work.task.now)
            pending += seat.unread(work.task)
        self.applying = seat
        try:
            checkpoint = execution.apply(pending, now)
        finally:
            self.applying = None
        if checkpoint.consumed:
            seat.applied_through = max(seat.applied_through, *checkpoint.consumed)
        return checkpoint

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
