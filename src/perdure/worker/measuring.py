"""How long a workflow task waited, and how long it took."""

from __future__ import annotations

from time import perf_counter

from perdure.clock import Micros
from perdure.observability.telemetry import WorkerWatcher
from perdure.worker.seat import Seat, Work


class Measure:
    """One step of an execution in memory."""

    __slots__ = ("_begun_at", "_seat", "_waited", "_was_in_memory", "_watcher", "_workflow")

    def __init__(self, watcher: WorkerWatcher, seat: Seat, work: Work, now: Micros) -> None:
        assert seat.execution is not None
        self._watcher = watcher
        self._seat = seat
        self._workflow = seat.execution.workflow
        self._was_in_memory = None if not seat.execution.position else not seat.is_fresh
        self._waited = _waited(seat, work, now)
        self._begun_at = perf_counter()

    def done(self) -> None:
        seconds = perf_counter() - self._begun_at
        self._seat.is_fresh = False
        self._watcher.stepped(self._workflow, waited=self._waited, seconds=seconds, was_in_memory=self._was_in_memory)


def _waited(seat: Seat, work: Work, now: Micros) -> Micros | None:
    """Of a claimed task, since the first of its events arrived."""
    if work.task is None:
        return None
    arrived = min((each.event.at for each in seat.unread(work.task) if each.event.at), default=None)
    return None if arrived is None else max(0, now - arrived)
