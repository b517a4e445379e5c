"""Instances in the order of their keys, which is that of their age, out of the sets that hold them all."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Any

from perdure.backends.redis import filters
from perdure.backends.redis.encoding import decode_instance
from perdure.backends.redis.keys import Keys, pack, unpack
from perdure.backends.redis.scripts import Client, read
from perdure.backends.rows import STATES, InstanceRow
from perdure.clock import Micros
from perdure.model.inspection import Ended, InstanceFilter
from perdure.model.instance import State

_PAGE = 500


def matching(
    client: Client,
    keys: Keys,
    where: InstanceFilter,
    *,
    below: int | None = None,
    above: int | None = None,
    page: int = _PAGE,
) -> Iterator[InstanceRow]:
    """Newest first, below a key; or oldest first, if they are to be above one."""
    accepts = filters.accepts(where)
    is_rising = above is not None
    ends = b"-" if above is None else b"(" + pack(max(0, above)), b"+" if below is None else b"(" + pack(below)
    if above is not None and above < 0:
        ends = b"-", b"+"
    found = heapq.merge(
        *(_pages(client, key, *ends, page, is_rising=is_rising) for key in filters.sets(where, keys)),
        reverse=not is_rising,
    )
    while some := list(islice(found, page)):
        values = read(client, [("HMGET", keys.instances, *some)])[0]
        rows = (decode_instance(value) for value in values if value is not None)
        yield from (row for row in rows if accepts(row))


def _pages(client: Client, key: bytes, low: bytes, high: bytes, size: int, *, is_rising: bool) -> Iterator[bytes]:
    while True:
        name, ends = ("ZRANGEBYLEX", (low, high)) if is_rising else ("ZREVRANGEBYLEX", (high, low))
        (page,) = read(client, [(name, key, *ends, "LIMIT", 0, size)])
        yield from page
        if len(page) < size:
            return
        if is_rising:
            low = b"(" + page[-1]
        else:
            high = b"(" + page[-1]


def ended(client: Client, keys: Keys, where: InstanceFilter, after: Ended | None, page: int = _PAGE) -> Iterator[Ended]:
    """Those that match, the oldest end first, past one end; of those that ended together, in the order of keys."""
    accepts = filters.accepts(where)
    low, passed = 0 if after is None else after.ended_at, 0
    while True:
        command = ("ZRANGEBYSCORE", keys.ended, low, "+inf", "WITHSCORES", "LIMIT", passed, page)
        (stored,) = read(client, [command])
        found = [Ended(at, unpack(key)) for at, key in _scored(stored)]
        new = found if after is None else [each for each in found if each > after]
        if new:
            (values,) = read(client, [("HMGET", keys.instances, *(pack(each.key) for each in new))])
            rows = zip(new, values, strict=True)
            yield from (each for each, value in rows if value is not None and accepts(decode_instance(value)))
        if len(found) < page:
            return
        # Keys go on from the last score: others may remove what was passed.
        last = found[-1].ended_at
        passed = (passed if last == low else 0) + sum(each.ended_at == last for each in found)
        low = last


def expired(client: Client, keys: Keys, now: Micros, limit: int) -> list[tuple[Micros, int]]:
    """Until when they were kept, and their keys; the longest due first."""
    command = ("ZRANGEBYSCORE", keys.removals, "-inf", now, "WITHSCORES", "LIMIT", 0, limit)
    return [(at, unpack(key)) for at, key in _scored(read(client, [command])[0])]


def _scored(found: Any) -> Iterator[tuple[int, bytes]]:
    """Scores and members, of what was asked WITHSCORES."""
    return ((int(float(score)), member) for member, score in zip(found[::2], found[1::2], strict=True))


def count(client: Client, keys: Keys, where: InstanceFilter) -> dict[State, int]:
    """By state; absent states have none."""
    counts: dict[State, int] = {}
    if filters.is_all_of_sets(where):
        sets = filters.sets(where, keys)
        found = read(client, [("ZCARD", key) for key in sets]) if sets else []
        counts.update((STATES[number], size) for number, size in zip(sets.values(), found, strict=True))
    else:
        for row in matching(client, keys, where):
            counts[STATES[row.state]] = counts.get(STATES[row.state], 0) + 1
    return {state: size for state, size in counts.items() if size}
