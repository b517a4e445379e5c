"""Integer keys of rows: ordered by time, so that the order of keys is the order of age."""

from __future__ import annotations

from collections.abc import Callable

from perdure.backends.partition import WHOLE, Partition
from perdure.clock import Micros

_RANDOM_BITS = 11  # microseconds since 1970 take 52 bits until the year 2112; together 63


def draw_key(at: Micros, random_token: Callable[[], int]) -> int:
    """A key for a row made at `at`. It may be taken: draw again then. An import draws with the time of creation."""
    return (at << _RANDOM_BITS) | (random_token() & ((1 << _RANDOM_BITS) - 1))


class LastKey:
    """What the sources of one store's partitions share, so that none goes back behind another."""

    __slots__ = ("key",)

    def __init__(self) -> None:
        self.key = 0


class KeySource:
    """Draws keys that never go back within a process, also while the clock stands still or jumps back.

    Several processes draw for one store; a key that is taken there is drawn again.
    """

    def __init__(
        self, random_token: Callable[[], int], partition: Partition = WHOLE, last: LastKey | None = None
    ) -> None:
        self.partition = partition
        self._random_token = random_token
        self._last = last or LastKey()

    def draw_elsewhere(self, now: Micros, instance_id: str) -> int:
        """A key for an instance that lies in another partition."""
        partition = self.partition
        key = self.draw(now)
        key = self._last.key = Partition(partition.of_id(instance_id), partition.count).own(key)
        return key

    def draw(self, now: Micros) -> int:
        """A key over all that were drawn here before."""
        key = self._last.key + 1
        if key <= now << _RANDOM_BITS:
            key = draw_key(now, self._random_token)
        key = self._last.key = self.partition.own(key)
        return key

    def draw_for(self, at: Micros) -> int:
        """A key for a row that was made at `at`, which may be taken."""
        return self.partition.own(draw_key(at, self._random_token))
