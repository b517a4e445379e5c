"""A clock that stands still until it is moved."""

from __future__ import annotations

from perdure.clock import Micros


class VirtualClock:
    """A `Clock` whose time of day and monotonic time move together, and only forward."""

    def __init__(self, start: Micros) -> None:
        self._start = start
        self._now = start

    def now(self) -> Micros:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start) / 1_000_000

    def move_to(self, at: Micros) -> None:
        self._now = max(self._now, at)
