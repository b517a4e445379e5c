"""The store's time, without asking it each time."""

from __future__ import annotations

from perdure.clock import Clock, Micros


class StoreTime:
    """What the store's clock shows, from its last answer and the monotonic clock here.

    Not from the time of day here: a machine whose clock is set meanwhile goes on in the store's time (B7).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: Micros | None = None

    def observe(self, store_now: Micros) -> None:
        """An answer that just came in told the store's time."""
        if store_now:
            self._offset = store_now - self._monotonic()

    def now(self) -> Micros:
        if self._offset is None:
            return self._clock.now()
        return self._monotonic() + self._offset

    def _monotonic(self) -> Micros:
        return round(self._clock.monotonic() * 1_000_000)
