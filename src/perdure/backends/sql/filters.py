"""An InstanceFilter as SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from perdure.backends.rows import STATE_NUMBERS
from perdure.clock import to_micros
from perdure.model.inspection import InstanceFilter


class Condition(msgspec.Struct, frozen=True):
    """A clause and its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


def conditions(where: InstanceFilter) -> list[Condition]:
    """All that must hold; empty for everything."""
    found: list[Condition] = []
    for name, make in _CONDITIONS.items():
        value = getattr(where, name)
        if value is not None:
            found.append(make(value))
    return found


def _states(states: frozenset[object]) -> Condition:
    numbers = sorted(number for state, number in STATE_NUMBERS.items() if state in states)
    if numbers == [0]:
        return Condition("ended_at is null")  # which an index serves
    found = f"state in ({', '.join(map(str, numbers))})"
    return Condition(f"state > 1 and {found}" if numbers and numbers[0] > 1 else found)


def _prefix(prefix: str) -> Condition:
    # A range, which the unique index serves; substr holds for what sorts oddly at its upper end.
    return Condition("instance_id >= ? and substr(instance_id, 1, ?) = ?", (prefix, len(prefix), prefix))


def _equals(column: str) -> Callable[[object], Condition]:
    return lambda value: Condition(f"{column} = ?", (value,))


def _time(column: str, operator: str) -> Callable[[datetime], Condition]:
    return lambda at: Condition(f"{column} {operator} ?", (to_micros(at),))


def _tags(tags: dict[str, str]) -> Condition:
    text = " and ".join(["{has_tag}"] * len(tags)) if tags else "1 = 1"
    return Condition(text, tuple(part for tag in tags.items() for part in tag))


def _ended_before(ended_to: datetime) -> Condition:
    return Condition("ended_at is not null and ended_at < ?", (to_micros(ended_to),))


def _of_running(text: str) -> Condition:
    # Whoever ends is that no more; so the index of those that run serves.
    return Condition(f"ended_at is null and {text}")


_CONDITIONS: dict[str, Callable[[Any], Condition]] = {
    "states": _states,
    "workflow": _equals("workflow"),
    "queue": _equals("queue"),
    "id_prefix": _prefix,
    "id_contains": lambda part: Condition("{contains}", (part,)),
    "version": _equals("version"),
    "created_from": _time("created_at", ">="),
    "created_to": _time("created_at", "<"),
    "ended_to": _ended_before,
    "updated_to": _time("updated_at", "<"),
    "tags": _tags,
    "parent_instance_id": _equals("parent_id"),
    "stuck": lambda wanted: _of_running("stuck_reason is not null") if wanted else Condition("stuck_reason is null"),
    "suspended": lambda wanted: _of_running("suspended = 1") if wanted else Condition("suspended = 0"),
}
