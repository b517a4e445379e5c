"""Which events of a history a page shows, and how the reader gets to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec
from starlette.datastructures import QueryParams

from perdure.diagnostics.views.history import KINDS, HistoryPage
from perdure.diagnostics.web.links import Links

PAGE = 100
_OPERATORS = frozenset({"Suspended", "Resumed", "MarkedStuck", "Terminated", "DeadlinePassed", "CancelRequested"})

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "activities": tuple(kind for kind in KINDS if kind.startswith("Activity")),
    "timers": tuple(kind for kind in KINDS if kind.startswith("Timer")),
    "sub-workflows": tuple(kind for kind in KINDS if kind.startswith("SubWorkflow")),
    "signals": tuple(kind for kind in KINDS if kind.startswith("Signal")),
    "updates": tuple(kind for kind in KINDS if kind.startswith("Update")),
    "side effects": tuple(kind for kind in KINDS if kind.startswith(("SideEffect", "Patch"))),
    "failures": tuple(
        kind for kind in KINDS if kind.endswith(("Failed", "Refused", "Passed")) or kind == "MarkedStuck"
    ),
    "operators": tuple(kind for kind in KINDS if kind in _OPERATORS),
}


class EventsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    family: str = ""
    text: str = ""
    at: int | None = None
    """The event that a permalink names; it is shown open."""
    after: int = -1
    limit: int = PAGE

    @classmethod
    def of(cls, query: QueryParams, length: int) -> Self:
        """By default the whole of a short history, and the end of a long one: there is what happened last."""
        family = query.get("family", "")
        asked = cls(
            family=family if family in FAMILIES else "", text=query.get("text", "").strip(), at=number_in(query, "at")
        )
        after = number_in(query, "after")
        if after is not None or query.get("after") == "-1":
            return msgspec.structs.replace(asked, after=-1 if after is None else after)
        if asked.at is not None:
            return msgspec.structs.replace(asked, after=asked.at - asked.at % PAGE - 1)
        if asked.is_filtered or length <= 2 * PAGE:
            return msgspec.structs.replace(asked, limit=2 * PAGE)
        return msgspec.structs.replace(asked, after=_begin_of_last(length), limit=2 * PAGE)

    @property
    def is_filtered(self) -> bool:
        return bool(self.family or self.text)

    @property
    def kinds(self) -> tuple[str, ...] | None:
        return FAMILIES[self.family] if self.family else None


class EventsPager(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of other parts of the history; empty where there is none."""

    first: str
    earlier: str
    later: str
    last: str


def pager_of(
    links: Links, instance_id: str, here: Mapping[str, str | None], asked: EventsAsked, shown: HistoryPage, length: int
) -> EventsPager:
    def to(after: int | None) -> str:
        query = {**here, "family": asked.family, "text": asked.text, "after": after}
        return f"{links.instance(instance_id, **query)}#history"

    is_first = asked.after < 0
    is_last = shown.next_after is None
    return EventsPager(
        first="" if is_first else to(-1),
        earlier="" if is_first or asked.is_filtered else to(max(asked.after - PAGE, -1)),
        later="" if is_last else to(shown.next_after),
        last="" if is_last or asked.is_filtered else to(None),  # what is shown if nobody says which
    )


def _begin_of_last(length: int) -> int:
    """A page begins at a whole hundred, so that it doesn't slide while the history grows."""
    return max((length - 1) // PAGE * PAGE - PAGE, 0) - 1


def number_in(query: QueryParams, name: str) -> int | None:
    """A whole number from 0 on; None if that isn't what was asked."""
    given = query.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else None
