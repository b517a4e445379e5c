"""Which part of a store an instance lies in, where a store has several: a function of its id, for ever.

Each key of an instance or activity says it too, by what is left when it is divided by the number of partitions.
"""

from __future__ import annotations

from zlib import crc32

import msgspec


class Partition(msgspec.Struct, frozen=True):
    """One of `count`."""

    number: int = 0
    count: int = 1

    def of_id(self, instance_id: str) -> int:
        """Where the instance lies. The same in each version of perdure: stored instances lie there."""
        return crc32(instance_id.encode()) % self.count

    def of_key(self, key: int) -> int:
        """Where the instance or activity lies."""
        return key % self.count

    def is_apart(self, instance_id: str) -> bool:
        """Whether the instance lies in another one."""
        return self.count > 1 and self.of_id(instance_id) != self.number

    def owns(self, key: int) -> bool:
        return key % self.count == self.number

    def own(self, key: int) -> int:
        """The first key from that one on that belongs here."""
        return key + (self.number - key) % self.count


WHOLE = Partition()
"""Of a store that has no parts."""
