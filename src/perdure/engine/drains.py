"""A history, drain by drain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perdure.model.event import AdministrativeEvent, AppliedEvent, Event


def drains(events: Sequence[Event]) -> Iterator[tuple[int, Event, list[Event]]]:
    """Each event that isn't a command, with its place and the commands and the end that it led to."""
    place = 0
    while place < len(events):
        following = place + 1
        if isinstance(events[place], AppliedEvent):
            while following < len(events) and not isinstance(events[following], (AppliedEvent, AdministrativeEvent)):
                following += 1
        yield place, events[place], list(events[place + 1 : following])
        place = following
