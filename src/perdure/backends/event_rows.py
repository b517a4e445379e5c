"""The events of one commit as the bytes of one row, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perdure.errors import StoreUsageError
from perdure.model.event import Event
from perdure.model.inspection import HistoryEvent
from perdure.serialization import events as serialization


def encode_events(events: Sequence[Event]) -> bytes:
    """One row's bytes. Raises StoreUsageError for what no store can keep, such as half a surrogate pair in a text."""
    try:
        return serialization.encode_events(events)
    except (UnicodeEncodeError, OverflowError, TypeError) as problem:
        raise StoreUsageError(f"an event can't be stored: {problem}") from problem


def decode_events(position: int, row: bytes) -> Iterable[HistoryEvent]:
    """The events of a row whose first stands at `position`. Raises StoreCorrupt."""
    events = serialization.decode_events(row)
    return (HistoryEvent(position + place, event) for place, event in enumerate(events))
