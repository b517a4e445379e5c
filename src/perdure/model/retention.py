"""How long ended instances are kept."""

from __future__ import annotations

import msgspec

from perdure.clock import Micros, duration_micros
from perdure.errors import ConfigurationError
from perdure.model.instance import State
from perdure.model.options import Duration, Retention


class StoredRetention(msgspec.Struct, frozen=True, array_like=True):
    """A Retention as it is kept with the instance."""

    completed: Micros | None = None
    failed: Micros | None = None
    cancelled: Micros | None = None
    terminated: Micros | None = None


def as_retention(given: Retention | Duration) -> Retention:
    """A length of time holds for every end. Raises ConfigurationError."""
    if not isinstance(given, Retention):
        given = Retention(completed=given, failed=given, cancelled=given, terminated=given)
    for kept in msgspec.structs.astuple(given):
        if kept is not None and duration_micros(kept) < 0:
            raise ConfigurationError(f"retention is {kept}: an instance can't be removed before its end")
    return given


def stored_retention(retention: Retention | None) -> StoredRetention | None:
    """None if every end is kept for ever."""
    if retention is None or retention == Retention():
        return None
    kept = msgspec.structs.astuple(retention)
    return StoredRetention(*(None if each is None else duration_micros(each) for each in kept))


def removal_at(retention: StoredRetention | None, state: State, ended_at: Micros) -> Micros | None:
    """When an instance is to go that has ended so; None is never."""
    kept: Micros | None = None if retention is None else getattr(retention, state.value)
    return None if kept is None else ended_at + kept


def chosen(own: Retention | None, default: Retention | None) -> StoredRetention | None:
    """A workflow's, or else the App's."""
    return stored_retention(default if own is None else own)
