"""Which activities may begin now: the one place that claim and hand-back ask.

- Activities begin in the order of their *rank*: priority, then the age of the instance, then the command's number.
- A worker gets no more than it has slots for.
- A limited queue gives no more *permits* than its limits leave over all workers: none while it is paused, at most
  `at_once` leased activities, and `per_second` beginnings per second out of a token bucket that holds one second's worth
  (at least one), so that a queue that was idle may begin with a burst of that size.
- A hand-back gives out nothing that ranks behind work which waits on a queue that the worker serves (`ahead`), so that
  those who came later don't overtake for ever.

A store computes `permits` inside the transaction that leases, admits, and writes the new bucket with the leases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

import msgspec

from perdure.clock import Micros
from perdure.model.inspection import QueueLimits

_SECOND = 1_000_000

Rank = tuple[int, int, int]
"""Priority negated, instance key, command number: the smaller one begins first."""


class Candidate(Protocol):
    """A due activity that nobody has, of an instance that isn't suspended, on a served queue and of a known name."""

    @property
    def queue(self) -> str: ...

    @property
    def rank(self) -> Rank: ...


C = TypeVar("C", bound=Candidate)


class Bucket(msgspec.Struct, frozen=True):
    """What a queue's `per_second` had left at an instant. A queue without one starts full."""

    level: float
    at: Micros


def rank_of(priority: int, instance_key: int, number: int) -> Rank:
    """Where an activity stands in the order of claims."""
    return (-priority, instance_key, number)


def refill(limits: QueueLimits, bucket: Bucket | None, now: Micros) -> Bucket:
    """The bucket as it is at `now`. A clock that went back refills nothing."""
    rate = limits.per_second or 0.0
    capacity = max(1.0, rate)
    if bucket is None:
        return Bucket(capacity, now)
    gained = rate * max(0, now - bucket.at) / _SECOND
    return Bucket(min(capacity, bucket.level + gained), max(now, bucket.at))


def take(limits: QueueLimits, bucket: Bucket | None, now: Micros, taken: int) -> Bucket:
    """The bucket after `taken` activities have begun."""
    full = refill(limits, bucket, now)
    return Bucket(full.level - taken, full.at)


def permits(limits: QueueLimits, *, running: int, bucket: Bucket | None, now: Micros) -> int | None:
    """How many more activities of the queue may begin; None is without limit. `running` counts leases of all workers."""
    if limits.paused:
        return 0
    free: int | None = None
    if limits.at_once is not None:
        free = max(0, limits.at_once - running)
    if limits.per_second is not None:
        begun = int(refill(limits, bucket, now).level + 1e-9)
        free = begun if free is None else min(free, begun)
    return free


def next_permit_at(limits: QueueLimits, *, running: int, bucket: Bucket | None, now: Micros) -> Micros | None:
    """When time alone gives the next permit; None if it doesn't (paused, no rate, or as many run as may at once)."""
    if limits.paused or not limits.per_second:
        return None
    if limits.at_once is not None and running >= limits.at_once:
        return None
    missing = 1.0 - refill(limits, bucket, now).level
    return now + max(0, -int(-missing * _SECOND // limits.per_second))


def admit(
    candidates: Iterable[C], *, slots: int, permits: Mapping[str, int | None], ahead: Rank | None = None
) -> list[C]:
    """Which of `candidates`, which come in the order of their ranks, begin now.

    `permits` has the limited queues; one that isn't there has no limit. `ahead` is the rank of the first activity
    that waits, could be admitted to this worker, and isn't among the candidates.
    """
    left = dict(permits)
    admitted: list[C] = []
    for candidate in candidates:
        if len(admitted) >= slots or (ahead is not None and candidate.rank > ahead):
            break
        free = left.get(candidate.queue)
        if free is not None:
            if free <= 0:
                continue
            left[candidate.queue] = free - 1
        admitted.append(candidate)
    return admitted
