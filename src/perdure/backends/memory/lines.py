"""What waits until when, and who is first of those who are due.

Entries that no longer hold stay in the heaps and are passed over; a heap that is mostly such entries is built anew. So
each change costs the logarithm of what waits, and 100,000 instances that wait cost a claim nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from perdure.backends.admission import Rank
from perdure.clock import Micros

_FEW = 64


class Schedule:
    """Keys, each at one instant."""

    def __init__(self) -> None:
        self._at: dict[int, Micros] = {}
        self._heap: list[tuple[Micros, int]] = []

    def put(self, key: int, at: Micros) -> None:
        """Set the instant of a key, or another one."""
        if self._at.get(key) == at:
            return
        self._at[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._at) + _FEW:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapq.heapify(self._heap)

    def remove(self, key: int) -> None:
        """Forget a key; one that isn't here is no error."""
        self._at.pop(key, None)

    def first_at(self) -> Micros | None:
        """The earliest instant."""
        heap = self._heap
        while heap:
            at, key = heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(heap)
        return None

    def pop_due(self, now: Micros) -> Iterator[int]:
        """Take out the keys whose instant has come, earliest first."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, key = heapq.heappop(heap)
            if self._at.get(key) == at:
                del self._at[key]
                yield key

    def __len__(self) -> int:
        return len(self._at)


class Line:
    """Keys that wait for their instant, then stand in the order of their ranks. A key's rank never changes."""

    def __init__(self) -> None:
        self._ranks: dict[int, Rank] = {}
        self._waiting = Schedule()
        self._ready: set[int] = set()
        self._heap: list[tuple[Rank, int]] = []

    def put(self, key: int, rank: Rank, due_at: Micros, now: Micros) -> None:
        """Let a key wait until `due_at`, or stand in line at once if that has come."""
        self._ranks[key] = rank
        if due_at > now:
            self._ready.discard(key)
            self._waiting.put(key, due_at)
        elif key not in self._ready:
            self._waiting.remove(key)
            self._stand(key)

    def remove(self, key: int) -> None:
        """Forget a key; one that isn't here is no error."""
        if self._ranks.pop(key, None) is not None:
            self._ready.discard(key)
            self._waiting.remove(key)

    def advance(self, now: Micros) -> None:
        """Let those whose instant has come stand in line."""
        for key in self._waiting.pop_due(now):
            self._stand(key)

    def first(self) -> tuple[Rank, int] | None:
        """Who stands first."""
        heap = self._heap
        while heap:
            if heap[0][1] in self._ready:
                return heap[0]
            heapq.heappop(heap)
        return None

    def next_due_at(self) -> Micros | None:
        """When the next of those who wait is due."""
        return self._waiting.first_at()

    def __len__(self) -> int:
        return len(self._ranks)

    def _stand(self, key: int) -> None:
        self._ready.add(key)
        heapq.heappush(self._heap, (self._ranks[key], key))
        if len(self._heap) > 2 * len(self._ready) + _FEW:
            self._heap = [(self._ranks[key], key) for key in self._ready]
            heapq.heapify(self._heap)


def in_order(lines: Iterable[Line]) -> Iterator[int]:
    """The keys that stand in any of the lines, by rank. Whoever asks for the next one has taken the last one out."""
    heads: list[tuple[Rank, int, int]] = []
    numbered = list(lines)
    for number, line in enumerate(numbered):
        first = line.first()
        if first is not None:
            heads.append((first[0], first[1], number))
    heapq.heapify(heads)
    while heads:
        _, key, number = heads[0]
        yield key
        numbered[number].remove(key)
        first = numbered[number].first()
        if first is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (first[0], first[1], number))
