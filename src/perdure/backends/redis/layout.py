"""How a store lies in its partitions, and what the partitions of a process tell each other."""

from __future__ import annotations

from zlib import crc32

from perdure.backends.keys import LastKey
from perdure.backends.partition import Partition
from perdure.backends.redis.fronts import Fronts
from perdure.backends.redis.keys import Keys


class Layout:
    """Of one store; its connections in this process share it."""

    def __init__(self, prefix: str, count: int) -> None:
        self.count = count
        self.keys = tuple(Keys(prefix, number) for number in range(count))
        self.fronts = Fronts(count)
        self.last_key = LastKey()

    def partition(self, number: int) -> Partition:
        return Partition(number, self.count)

    def home_of(self, queue: str) -> Keys:
        """Where the permits of a limited queue lie."""
        return self.keys[crc32(queue.encode()) % self.count]
