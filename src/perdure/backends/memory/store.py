"""The data of a memory store, shared by its handles on all event loops of the process.

A transition is decided and carried out under one lock, in line; nothing in it waits. What can fail (an event that can't be
encoded, a fence) comes before the first write, so that a transition that fails leaves nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from perdure.backends.apart import BLOB_THRESHOLD
from perdure.backends.memory import appending, attempts, checkpoints, creating, leasing, operators, starting
from perdure.backends.memory.tables import Tables
from perdure.backends.memory.tokens import Tokens
from perdure.backends.memory.waking import wake
from perdure.backends.seals import is_filling, refusal
from perdure.clock import Clock, Micros, SystemClock
from perdure.model import transition as transitions

O = TypeVar("O")  # noqa: E741 - the outcome
T = TypeVar("T")

_HANDLERS: dict[type, Callable[[Tables, Any, Micros], Any]] = {
    transitions.CreateInstance: starting.create_instance,
    transitions.AppendEvent: appending.append_event,
    transitions.CompleteWorkflowTask: checkpoints.complete_workflow_task,
    transitions.ReleaseInstance: checkpoints.release_instance,
    transitions.MarkStuck: checkpoints.mark_stuck,
    transitions.CompleteActivityTask: attempts.complete_activity_task,
    transitions.RecordHeartbeat: attempts.record_heartbeat,
    transitions.RetryActivityNow: attempts.retry_activity_now,
    transitions.Terminate: operators.terminate_instance,
    transitions.Suspend: operators.suspend,
    transitions.Resume: operators.resume,
    transitions.Remove: creating.remove,
    transitions.ClaimTasks: leasing.claim_tasks,
}


class MemoryStore:
    """The rows behind `MemoryBackend`s. `clock` and `random_token` (63 random bits) can be those of a simulation."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        random_token: Callable[[], int] | None = None,
        name: str = "",
        blob_threshold: int = BLOB_THRESHOLD,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.name = name
        self._now = self.clock.now
        self._tables = Tables(random_token or Tokens().draw, blob_threshold)
        self._lock = threading.Lock()

    def commit(self, transition: transitions.Transition[O]) -> O:
        """Carry out a transition."""
        handler = _HANDLERS[type(transition)]
        tables = self._tables
        with self._lock:
            if tables.sealed_for is not None:
                raise refusal(tables.sealed_for)
            try:
                outcome: O = handler(tables, transition, self._now())
                if tables.new_blobs.has_any:
                    tables.settle_blobs()
            except BaseException:
                tables.forget_blobs()
                raise
            finally:
                if tables.to_wake:
                    _wake_all(tables)
            return outcome

    def write(self, change: Callable[[Tables, Micros], T], *, when_filling: bool = False) -> T:
        """Carry out a change, unless the store is sealed; or is so for another reason than being filled."""

        def unless_sealed(tables: Tables, now: Micros) -> T:
            seal = tables.sealed_for
            if seal is not None and not (when_filling and is_filling(seal)):
                raise refusal(seal)
            return change(tables, now)

        return self.locked(unless_sealed)

    def locked(self, change: Callable[[Tables, Micros], T]) -> T:
        """Read, or change what a sealed store changes too."""
        tables = self._tables
        with self._lock:
            try:
                return change(tables, self._now())
            finally:
                _wake_all(tables)


def _wake_all(tables: Tables) -> None:
    wake(tables.to_wake)  # it only schedules: nobody runs before the lock is released
    tables.to_wake.clear()
