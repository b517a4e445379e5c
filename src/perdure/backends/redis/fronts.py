"""Who waits first in the other partitions, as far as this process knows: hand-back lets them go first.

Order is exact within a partition, and over several it is so among what one process has seen: by its own commits, and by its
last claim, which looks at all of them. So work that waits in one partition is overtaken by what commits in another make ready for
a second at most, which is how often a worker claims at least.
"""

from __future__ import annotations

from collections.abc import Iterable

_KNOWN = 64
"""Members of each queue and partition."""

Queue = tuple[str, str]
"""Instances or activities, and the queue's name."""


class Fronts:
    """Each partition's thread writes its own; any may read. What is read is never changed."""

    def __init__(self, count: int) -> None:
        self._of: tuple[dict[Queue, tuple[bytes, ...]], ...] = tuple({} for _ in range(count))

    def see(self, number: int, queue: Queue, members: Iterable[bytes]) -> None:
        """These are the first."""
        self._put(number, queue, members)

    def change(self, number: int, queue: Queue, changed: dict[bytes, int | None]) -> None:
        """These came, or went (None)."""
        known = self._of[number].get(queue, ())
        kept = [member for member in known if member not in changed]
        self._put(number, queue, [*kept, *(member for member, score in changed.items() if score is not None)])

    def _put(self, number: int, queue: Queue, members: Iterable[bytes]) -> None:
        first = tuple(sorted(members)[:_KNOWN])
        if first:
            self._of[number][queue] = first
        else:
            self._of[number].pop(queue, None)

    def elsewhere(self, number: int, queue: Queue) -> list[bytes]:
        """Members of the other partitions, in no order."""
        return [
            member
            for other, known in enumerate(self._of)
            if known and other != number
            for member in known.get(queue, ())
        ]
