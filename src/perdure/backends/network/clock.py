"""The store's time, without asking for it each time.

The time of the server is measured when a connection is opened and at each heartbeat, and carried on by this machine's monotonic
clock. So all processes agree up to half a round trip and the drift of some seconds, however their own clocks are set, and a
machine whose clock is set back or forth harms nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from perdure.clock import Micros, SystemClock


class StoreClock:
    """Reads may come from any thread, measurements from one."""

    def __init__(self) -> None:
        # Until the first measurement.
        self._offset: Micros = SystemClock().now() - time.monotonic_ns() // 1000

    def now(self) -> Micros:
        return time.monotonic_ns() // 1000 + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    def measure(self, ask: Callable[[], Micros]) -> None:
        """Ask the server; its answer is taken for the time in the middle of the round trip."""
        before = time.monotonic_ns() // 1000
        answer = ask()
        after = time.monotonic_ns() // 1000
        self._offset = answer - (before + after) // 2
