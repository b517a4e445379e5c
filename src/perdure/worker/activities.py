"""The activities that a worker runs: each has a slot from before its lease until its function has returned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perdure.activities.definition import Activity
from perdure.clock import new_dice
from perdure.model.task import ActivityTask
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityReleased,
    ActivityResult,
    ActivityRetry,
)
from perdure.observability.logging import Log, text_of_failure
from perdure.worker.attempt import Attempt, Surroundings
from perdure.worker.heartbeats import Heartbeats
from perdure.worker.slots import Slots
from perdure.worker.verdict import Cause, End, HowItEnded, decide

Report = Callable[[ActivityTask, End, "Heartbeats | None"], None]
"""Record the end of an attempt; heartbeats that aren't recorded yet go ahead of it."""


class Activities:
    """Runs attempts of one worker's life, and reports how each ended."""

    def __init__(
        self,
        named: Mapping[str, Activity[..., Any]],
        surroundings: Surroundings,
        slots: Slots,
        *,
        report: Report,
        logger: Log,
    ) -> None:
        self.names = frozenset(named)
        self._named = named
        self._surroundings = surroundings
        self._slots = slots
        self._report = report
        self._logger = logger
        self._dice = new_dice()
        self._running: dict[int, Attempt] = {}
        self._all_ended: asyncio.Future[None] | None = None

    @property
    def running_count(self) -> int:
        """Attempts that haven't ended."""
        return len(self._running)

    @property
    def leases(self) -> set[tuple[int, int]]:
        """Theirs: keys and tokens."""
        return {(key, attempt.task.token) for key, attempt in self._running.items()}

    def begin(self, task: ActivityTask) -> None:
        """Begin an attempt, whose slot is taken already."""
        activity = self._named.get(task.name)
        # The store gave what wasn't asked for; or this process stood still while the answer waited, and others may have it.
        if activity is None or not self._surroundings.is_held():
            self._slots.free()
            self._report(task, ActivityReleased(), None)
            return
        attempt = Attempt(task, activity, self._surroundings, on_end=self._ended, on_free=self._slots.free)
        self._running[task.activity_key] = attempt
        attempt.begin()

    def tell(self, told: Sequence[tuple[int, int]]) -> None:
        """Cancel the attempts with these keys and tokens: their workflows asked for it."""
        for key, token in told:
            attempt = self._running.get(key)
            if attempt is not None and attempt.task.token == token:
                attempt.stop(Cause.REQUESTED)

    def tell_numbers(self, execution_id: bytes, numbers: Sequence[int]) -> None:
        """The same by the commands of an execution, when its checkpoint was written here."""
        for attempt in list(self._running.values()):
            if attempt.task.execution_id == execution_id and attempt.task.number in numbers:
                attempt.stop(Cause.REQUESTED)

    def stop_all(self, cause: Cause) -> None:
        """Tell all of them to stop."""
        for attempt in list(self._running.values()):
            attempt.stop(cause)

    def give_up_all(self) -> None:
        """Wait for none of them any longer."""
        for attempt in list(self._running.values()):
            attempt.give_up()

    async def wait_for_end(self, timeout_seconds: float | None) -> bool:
        """Whether all attempts have ended, in time; None waits for ever."""
        if self._running:
            self._all_ended = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._all_ended,), timeout=timeout_seconds)
        return not self._running

    def _ended(self, attempt: Attempt, how: HowItEnded) -> None:
        task = attempt.task
        self._running.pop(task.activity_key, None)
        end = decide(
            task,
            how,
            attempt.causes,
            payloads=self._surroundings.app.payloads,
            chance=self._dice.random,
            elapsed=lambda: attempt.elapsed,
        )
        if attempt.watcher is not None:
            attempt.watcher.ended(end)
        if isinstance(end, ActivityResult):
            self._report(task, end, None)
        elif end is None:
            # Hundreds may do so at once; the worker has said why, once and loudly.
            attempt.logger.info("activity %s has lost its lease, how it ended isn't recorded", task.name)
        else:
            _log(attempt, end)
            is_last = isinstance(end, ActivityFailure)
            self._report(task, end, None if is_last else attempt.heartbeats)
        if not self._running and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)


def _log(attempt: Attempt, end: ActivityFailure | ActivityRetry | ActivityReleased | ActivityOpened) -> None:
    name, number = attempt.task.name, attempt.task.attempt
    match end:
        case ActivityRetry(failure, delay):
            attempt.logger.info(
                "activity %s failed in attempt %d, the next one is in %.1f s: %s",
                name, number, delay / 1_000_000, text_of_failure(failure),
            )  # fmt: skip
        case ActivityFailure(failure, cancelled):
            level = logging.INFO if cancelled else logging.WARNING
            attempt.logger.log(
                level,
                "activity %s failed for good in attempt %d: %s",
                name,
                number,
                text_of_failure(failure),
            )
        case ActivityOpened():
            attempt.logger.debug("activity %s waits for its end from outside in attempt %d", name, number)
        case ActivityReleased():
            attempt.logger.info("activity %s was given back in attempt %d, its worker stops", name, number)
