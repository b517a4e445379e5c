"""The three parts of a step of an instance: load its execution, apply what has arrived, write the checkpoint."""

from __future__ import annotations

import logging

import msgspec

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.model.checkpoint import Checkpoint
from perdure.model.task import WorkflowTask
from perdure.model.transition import Checkpointed, CompleteWorkflowTask, Offer, Rejected
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.seat import Result, Seat, Work
from perdure.worker.store_time import StoreTime


class Applying(msgspec.Struct, frozen=True):
    """The workflow code that runs now."""

    instance_key: int
    instance_id: str
    token: int


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
        self.applying: Applying | None = None
        """For the watchdog, which looks from another thread."""

    async def load(self, seat: Seat, task: WorkflowTask) -> None:
        """Bring the execution into memory. Raises StaleTask, and what replay and StoreCorrupt say of the history."""
        stored = []
        if task.position:
            stored = list(
                await until_done(lambda: self._backend.read_events(task.instance_key, task.execution_id), self._reading)
            )
        if len(stored) != task.position:
            raise StaleTask
        execution = Execution(task, self._app.workflows[task.workflow], self._app, limits=self._limits)
        seat.load(execution)
        if stored:
            self.applying = Applying(seat.instance_key, seat.instance_id, seat.token)
            try:
                execution.replay([each.event for each in stored])
            finally:
                self.applying = None

    def apply(self, seat: Seat, work: Work) -> Checkpoint:
        """Apply the results and the unread events, in line. Raises what the engine does."""
        execution = seat.execution
        assert execution is not None
        now = self._time.now()
        if work.task is not None:
            now = max(now, work.task.now)
        pending = [result.event for result in work.results]
        pending += seat.unread(work.task)
        self.applying = Applying(seat.instance_key, seat.instance_id, seat.token)
        try:
            checkpoint = execution.apply(pending, now)
        finally:
            self.applying = None
        seat.applied_through = max((seat.applied_through, *checkpoint.consumed))
        return checkpoint

    async def commit(
        self, seat: Seat, checkpoint: Checkpoint, results: tuple[Result, ...], *, release: bool, offer: Offer | None
    ) -> Checkpointed | Rejected:
        """Write the checkpoint, and with it the ends of the activities whose results it has applied."""
        return await self._backend.commit(
            CompleteWorkflowTask(
                instance_key=seat.instance_key,
                token=seat.token,
                checkpoint=checkpoint,
                fused=tuple(result.fused for result in results),
                release=release,
                offer=offer,
            )
        )
