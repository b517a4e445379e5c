"""From an address to a filter, and back: which instances a list shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from perdure.client.filters import Filters
from perdure.diagnostics.views.instances import WAITING_LONG, InstanceCounts, waiting_filters
from perdure.errors import ConfigurationError
from perdure.model.instance import State

_TEXTS = ("workflow", "queue", "find", "prefix", "version", "parent", "tag")
_TIMES = ("from", "to")
FIELDS = (*_TEXTS, *_TIMES)

_FILTER_NAMES = {
    "workflow": "workflow",
    "queue": "queue",
    "find": "id_contains",
    "prefix": "id_prefix",
    "version": "version",
    "parent": "parent_instance_id",
}


class Tab(msgspec.Struct, frozen=True, kw_only=True):
    """One of the ways that a list is cut: by state, and those that need somebody."""

    key: str
    title: str
    count: int | None
    href: str
    is_current: bool


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader asked for, as they wrote it."""

    show: str
    """A state, or `stuck`, `suspended`, `waiting`; empty for all."""
    fields: Mapping[str, str]
    """Of the form, those that aren't empty."""

    @property
    def query(self) -> dict[str, str]:
        return {**({"show": self.show} if self.show else {}), **self.fields}

    def shown_as(self, show: str) -> dict[str, str]:
        """The query of the same filter in another tab."""
        return {**({"show": show} if show else {}), **self.fields}

    def filters(self) -> Filters:
        """Without what the tab adds. Raises ConfigurationError."""
        found: dict[str, Any] = {
            filter_name: self.fields[name] for name, filter_name in _FILTER_NAMES.items() if name in self.fields
        }
        if "tag" in self.fields:
            found["tags"] = _tags(self.fields["tag"])
        for name in _TIMES:
            if name in self.fields:
                found[f"created_{name}"] = _instant(name, self.fields[name])
        return found  # type: ignore[return-value]

    def tab_filters(self, now: datetime) -> Filters:
        """All of it."""
        filters = self.filters()
        match self.show:
            case "":
                return filters
            case "stuck":
                return {**filters, "states": [State.RUNNING], "stuck": True}
            case "suspended":
                return {**filters, "states": [State.RUNNING], "suspended": True}
            case "waiting":
                return waiting_filters(filters, now, WAITING_LONG)
            case _:
                return {**filters, "states": [self.show]}


def asked(query: QueryParams) -> Asked:
    return Asked(
        show=query.get("show", ""),
        fields={name: value for name in FIELDS if (value := query.get(name, "").strip())},
    )


TABS = (
    ("", "All"),
    ("running", "Running"),
    ("stuck", "Stuck"),
    ("waiting", "Waiting long"),
    ("suspended", "Suspended"),
    ("failed", "Failed"),
    ("completed", "Completed"),
    ("cancelled", "Cancelled"),
    ("terminated", "Terminated"),
)


def count_of(counts: InstanceCounts, key: str) -> int:
    """What stands on a tab."""
    match key:
        case "":
            return counts.total
        case "stuck":
            return counts.stuck
        case "suspended":
            return counts.suspended
        case "waiting":
            return counts.waiting_long
        case _:
            return counts.states[State(key)]


def _tags(text: str) -> dict[str, str]:
    """From `region=eu, customer=7`."""
    pairs = [each.strip() for each in text.split(",") if each.strip()]
    wrong = [each for each in pairs if "=" not in each]
    if wrong:
        raise ConfigurationError(f"{wrong[0]!r} is no tag: write name=value, and a comma between several")
    return dict(each.split("=", 1) for each in pairs)


def _instant(name: str, text: str) -> datetime:
    """From a date, a date with a time, in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{name}: {text!r} is no time: write it as in 2026-07-01 or 2026-07-01T08:30"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
