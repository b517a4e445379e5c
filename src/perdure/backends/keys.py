"""Integer keys of rows: ordered by time, so that the order of keys is the order of age."""

from __future__ import annotations

from collections.abc import Callable

from perdure.clock import Micros

_RANDOM_BITS = 11  # microseconds since 1970 take 52 bits until the year 2112; together 63


def draw_key(at: Micros, random_token: Callable[[], int]) -> int:
    """A key for a row made at `at`. It may be taken: draw again then. An import draws with the time of creation."""
    return (at << _RANDOM_BITS) | (random_token() & ((1 << _RANDOM_BITS) - 1))


class KeySource:
    """Draws keys that never go back within a process, also while the clock stands still or jumps back.

    Several processes draw for one store; a key that is taken there is drawn again.
    """

    def __init__(self, random_token: Callable[[], int]) -> None:
        self._random_token = random_token
        self._last = 0

    def draw(self, now: Micros) -> int:
        """A key over all that were drawn here before."""
        last = self._last + 1
        if last <= now << _RANDOM_BITS:
            last = draw_key(now, self._random_token)
        self._last = last
        return last
