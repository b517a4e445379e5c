"""Two runs side by side: which steps they have in common, and which one of them alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec

from perdure.model.event import CommandEvent, Event
from perdure.replay.divergence import in_words, name_of
from perdure.serialization.events import event_to_plain
from perdure.serialization.payloads import Payloads
from perdure.serialization.saved import SavedHistory

_CONTEXT = 3
_OF_ONE_RUN_ALONE = frozenset({"number", "at", "due_at", "python", "digest", "update_id", "reply_to", "traceback"})


class DiffLine(msgspec.Struct, frozen=True, kw_only=True):
    """A step: `-` of the first run alone, `+` of the second, `~` of both with other values, or the same in both."""

    sign: Literal["-", "+", "~", " "]
    first: int | None
    """Its position in the first history."""
    second: int | None
    event: str
    other: str = ""
    """Of `~`, what it is in the second one."""


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How two runs differ, with a few common steps around each difference."""

    common: int
    """How many steps they have in common before they part."""
    lines: tuple[DiffLine, ...]

    @property
    def is_same(self) -> bool:
        """Whether both took the same steps with the same values, whenever they did."""
        return not self.lines


def compare_runs(first: SavedHistory, second: SavedHistory, payloads: Payloads) -> RunDiff:
    """Compare what happened, not when."""
    runs = _Run(first, payloads), _Run(second, payloads)
    lines = list(_lines(*runs))
    differing = [place for place, line in enumerate(lines) if line.sign != " "]
    if not differing:
        return RunDiff(common=len(lines), lines=())
    near = {place for each in differing for place in range(each - _CONTEXT, each + _CONTEXT + 1)}
    return RunDiff(common=differing[0], lines=tuple(line for place, line in enumerate(lines) if place in near))


class _Run:
    def __init__(self, history: SavedHistory, payloads: Payloads) -> None:
        own = re.compile(re.escape(f"{history.instance_id}/{history.execution_id[:8]}.").encode() + rb"\d+")
        names = {event.number: name_of(event) for event in history.events if isinstance(event, CommandEvent)}
        self.steps = [f"{name_of(event)} {names.get(getattr(event, 'number', 0), '')}" for event in history.events]
        self.values = [own.sub(b"", _values(event, payloads)) for event in history.events]  # ids of its sub-workflows
        self.words = [in_words(event, payloads) for event in history.events]


def _lines(first: _Run, second: _Run) -> Iterator[DiffLine]:
    """All steps of both. Runs mostly begin alike: only what follows is matched, which takes the square of the time."""
    shortest = min(len(first.steps), len(second.steps))
    alike = next((place for place in range(shortest) if first.steps[place] != second.steps[place]), shortest)
    yield from (_pair(first, second, place, place) for place in range(alike))
    matcher = SequenceMatcher(None, first.steps[alike:], second.steps[alike:], autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        here, there = range(alike + i1, alike + i2), range(alike + j1, alike + j2)
        if kind == "equal":
            yield from (_pair(first, second, place, other) for place, other in zip(here, there, strict=True))
            continue
        yield from (DiffLine(sign="-", first=place, second=None, event=first.words[place]) for place in here)
        yield from (DiffLine(sign="+", first=None, second=place, event=second.words[place]) for place in there)


def _pair(first: _Run, second: _Run, place: int, other: int) -> DiffLine:
    event = first.words[place]
    if first.values[place] == second.values[other]:
        return DiffLine(sign=" ", first=place, second=other, event=event)
    return DiffLine(sign="~", first=place, second=other, event=event, other=second.words[other])


def _values(event: Event, payloads: Payloads) -> bytes:
    return msgspec.json.encode(_without_times(event_to_plain(event, payloads)))


def _without_times(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {name: _without_times(value) for name, value in plain.items() if name not in _OF_ONE_RUN_ALONE}
    return [_without_times(each) for each in plain] if isinstance(plain, list) else plain
