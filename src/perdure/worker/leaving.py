"""Giving leases on instances back."""

from __future__ import annotations

from perdure.backends.protocol import Backend
from perdure.clock import Micros
from perdure.errors import PerdureError, RunawayWorkflow
from perdure.model.transition import MarkStuck, ReleaseInstance
from perdure.observability.advice import Advice, advice_for
from perdure.observability.logging import Log, text_of
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.seat import Seat, retry_delay
from perdure.worker.stepping import StaleTask


class Leaving:
    """How an instance leaves its seat: for others to go on with, or stuck."""

    def __init__(self, backend: Backend, logger: Log) -> None:
        self._backend = backend
        self._logger = logger
        self._backoff = Backoff(logger, "giving leases on instances back")

    async def release(self, seat: Seat) -> None:
        await self._leave(seat, ReleaseInstance(instance_key=seat.instance_key, token=seat.token))

    async def give_way(self, seat: Seat, problem: BaseException) -> None:
        """The task can't be done here and now: leave it to others, or mark the instance stuck."""
        await (self.release(seat) if isinstance(problem, StaleTask) else self.mark_stuck(seat, problem))

    async def mark_stuck(self, seat: Seat, problem: BaseException) -> None:
        is_runaway = isinstance(problem, RunawayWorkflow)
        retry_in: Micros | None = None if is_runaway else retry_delay(seat.stuck_attempts)
        reason = f"{type(problem).__name__}: {problem}"
        self._tell_stuck(seat, problem, advice_for(reason, seat.instance_id), retry_in)
        await self._leave(
            seat,
            MarkStuck(instance_key=seat.instance_key, token=seat.token, reason=reason, retry_in=retry_in),
        )

    def tell_goes_on(self, seat: Seat) -> None:
        """Its workflow task has gone through."""
        self._logger.warning(
            "%s goes on: it was stuck, %d times in a row",
            seat.instance_id,
            seat.stuck_attempts,
            extra={**seat.log_fields, "stuck_attempts": seat.stuck_attempts},
        )
        seat.stuck_attempts = 0

    def _tell_stuck(self, seat: Seat, problem: BaseException, advice: Advice, retry_in: Micros | None) -> None:
        """Loudly once: it may be tried again for days, by whichever worker."""
        when = "waits for resume" if retry_in is None else f"is tried again in {retry_in // 1_000_000} s"
        extra = {**seat.log_fields, "stuck": advice.kind, "stuck_attempts": seat.stuck_attempts + 1}
        what = text_of(problem)
        if seat.stuck_attempts:
            self._logger.info("%s is still stuck and %s: %s", seat.instance_id, when, what, extra=extra)
            return
        # The stack is perdure's own: it helps where perdure may be at fault.
        stack = None if isinstance(problem, PerdureError) else problem
        self._logger.error(
            "%s is stuck and %s: %s. %s", seat.instance_id, when, what, advice.text, extra=extra, exc_info=stack
        )

    async def _leave(self, seat: Seat, transition: MarkStuck | ReleaseInstance) -> None:
        """What was claimed under the lease meanwhile is claimed again."""
        await until_done(lambda: self._backend.commit(transition), self._backoff)
        seat.drop_task(transition.token)
