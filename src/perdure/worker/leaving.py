"""Giving leases on instances back."""

from __future__ import annotations

import logging

from perdure.backends.protocol import Backend
from perdure.clock import Micros
from perdure.errors import RunawayWorkflow
from perdure.model.transition import MarkStuck, ReleaseInstance
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.seat import Seat, retry_delay


class Leaving:
    """How an instance leaves its seat: for others to go on with, or stuck."""

    def __init__(self, backend: Backend, logger: logging.Logger) -> None:
        self._backend = backend
        self._logger = logger
        self._backoff = Backoff(logger, "giving leases on instances back")

    async def release(self, seat: Seat) -> None:
        await self._leave(seat, ReleaseInstance(instance_key=seat.instance_key, token=seat.token))

    async def mark_stuck(self, seat: Seat, problem: BaseException) -> None:
        is_runaway = isinstance(problem, RunawayWorkflow)
        retry_in: Micros | None = None if is_runaway else retry_delay(seat.stuck_attempts)
        when = "waits for resume" if retry_in is None else f"is tried again in {retry_in // 1_000_000} s"
        self._logger.error("%s is stuck and %s", seat.instance_id, when, exc_info=problem)
        reason = f"{type(problem).__name__}: {problem}"
        await self._leave(
            seat,
            MarkStuck(instance_key=seat.instance_key, token=seat.token, reason=reason, retry_in=retry_in),
        )

    async def _leave(self, seat: Seat, transition: MarkStuck | ReleaseInstance) -> None:
        """What was claimed under the lease meanwhile is claimed again."""
        await until_done(lambda: self._backend.commit(transition), self._backoff)
        seat.drop_task(transition.token)
