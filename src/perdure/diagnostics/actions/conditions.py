"""Which instances, as programs say it: the conditions of a filter in JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import msgspec
from msgspec import Meta, Struct

from perdure.client.filters import Filters
from perdure.model.instance import State

Instant = Annotated[datetime, Meta(tz=True)]


class Conditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every given condition must hold. Times are half-open: from (included) to (excluded)."""

    states: tuple[State, ...] = ()
    workflow: str | None = None
    queue: str | None = None
    id_prefix: str | None = None
    id_contains: str | None = None
    version: str | None = None
    created_from: Instant | None = None
    created_to: Instant | None = None
    ended_to: Instant | None = None
    updated_to: Instant | None = None
    parent_instance_id: str | None = None
    stuck: bool | None = None
    suspended: bool | None = None

    def __post_init__(self) -> None:
        """No name has a NUL character, and not every server takes one in a question."""
        if any("\0" in text for value in msgspec.structs.astuple(self) for text in _texts(value)):
            raise ValueError("a condition contains a NUL character")

    def filters_with(self, tags: dict[str, str] | None) -> Filters:
        """What `Client.list` takes: the conditions that are given, and these tags."""
        given = {name: getattr(self, name) for name in Conditions.__struct_fields__}
        found = {name: value for name, value in {**given, "tags": tags}.items() if value not in (None, ())}
        return cast("Filters", found)


class InstanceConditions(Conditions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instances; every given condition must hold. Times are half-open: from (included) to (excluded)."""

    tags: dict[str, str] | None = None

    def filters(self) -> Filters:
        return self.filters_with(self.tags)


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [*value.keys(), *value.values()]
        case tuple():
            return [text for text in value if isinstance(text, str)]
        case _:
            return []
