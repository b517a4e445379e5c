"""An InstanceFilter as a test of a row.

Indexes serve states, times of end, and what is stuck or suspended; all else is looked at row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from perdure.backends.redis.keys import Keys
from perdure.backends.rows import STATE_NUMBERS, InstanceRow
from perdure.clock import to_micros
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State

Accepts = Callable[[InstanceRow], bool]

_decode_tags = msgspec.json.Decoder(dict[str, str]).decode


def accepts(where: InstanceFilter) -> Accepts:
    """Whether every given condition holds."""
    tests = [make(value) for name, make in _TESTS.items() if (value := getattr(where, name)) is not None]
    return lambda row: all(test(row) for test in tests)


def sets(where: InstanceFilter, keys: Keys) -> dict[bytes, int]:
    """Where all stand that it may find, with the numbers of their states."""
    numbers = [number for state, number in STATE_NUMBERS.items() if where.states is None or state in where.states]
    if where.stuck or where.suspended:
        running = STATE_NUMBERS[State.RUNNING]
        return {keys.stuck if where.stuck else keys.suspended: running} if running in numbers else {}
    return {keys.states[number]: number for number in numbers}


def is_all_of_sets(where: InstanceFilter) -> bool:
    """Whether it finds all that stand there."""
    told = {"states", "stuck" if where.stuck else "suspended" if where.suspended else "states"}
    return all(getattr(where, name) is None for name in _TESTS if name not in told)


def _has_tags(wanted: Mapping[str, str]) -> Accepts:
    def test(row: InstanceRow) -> bool:
        tags = {} if row.tags is None else _decode_tags(row.tags)
        return all(tags.get(name) == value for name, value in wanted.items())

    return test


def _ended_before(at: datetime) -> Accepts:
    until = to_micros(at)
    return lambda row: row.ended_at is not None and row.ended_at < until


def _created_from(at: datetime) -> Accepts:
    first = to_micros(at)
    return lambda row: row.created_at >= first


def _created_before(at: datetime) -> Accepts:
    until = to_micros(at)
    return lambda row: row.created_at < until


def _updated_before(at: datetime) -> Accepts:
    until = to_micros(at)
    return lambda row: row.updated_at < until


def _is_of_states(wanted: frozenset[Any]) -> Accepts:
    numbers = {number for state, number in STATE_NUMBERS.items() if state in wanted}
    return lambda row: row.state in numbers


_TESTS: dict[str, Callable[[Any], Accepts]] = {
    "states": _is_of_states,
    "workflow": lambda name: lambda row: row.workflow == name,
    "queue": lambda name: lambda row: row.queue == name,
    "id_prefix": lambda prefix: lambda row: row.instance_id.startswith(prefix),
    "id_contains": lambda part: lambda row: part in row.instance_id,
    "version": lambda version: lambda row: row.version == version,
    "created_from": _created_from,
    "created_to": _created_before,
    "ended_to": _ended_before,
    "updated_to": _updated_before,
    "tags": _has_tags,
    "parent_instance_id": lambda parent: lambda row: row.parent_id == parent,
    "stuck": lambda wanted: lambda row: (row.stuck_reason is not None) == wanted,
    "suspended": lambda wanted: lambda row: bool(row.suspended) == wanted,
}
