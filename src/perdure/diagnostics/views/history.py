"""The history of one execution, a page at a time: each event in words, with its payloads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from perdure.clock import Micros, to_datetime
from perdure.diagnostics.look import Look, Payload, ShownFailure, WholePayload
from perdure.diagnostics.reading import EVENTS_AT_ONCE, execution_of, read_events
from perdure.diagnostics.steps import Steps
from perdure.diagnostics.views.words import in_words, moment
from perdure.errors import StoreCorrupt
from perdure.model.event import AppliedEvent, CommandEvent, EndEvent, Event, ExecutionStarted
from perdure.model.failure import Failure
from perdure.model.inspection import HistoryEvent
from perdure.model.reference import PAYLOAD_FIELDS


class NamedPayload(msgspec.Struct, frozen=True, kw_only=True):
    """A payload of an event. `read_payload` gives all of it."""

    name: str
    """Its field: `arguments`, `result`, `payload`, and of signals that came with the start `carried.0`, `carried.1` …"""
    payload: Payload


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event. With its execution's id, its position is a permalink: histories only grow."""

    position: int
    kind: str
    """Such as `ActivityScheduled`."""
    group: Literal["applied", "command", "end", "administrative"]
    """What happened to it, what its code asked for, how it ended, what an operator or the store did."""
    at: datetime | None
    """When it happened; a command's is that of the event that led to it."""
    summary: str
    """In words, on one line."""
    number: int | None
    """Of the command that it is, or is the answer to."""
    command_position: int | None
    """Of an answer, where its command stands."""
    instance_id: str
    """Of another instance that it names; else empty."""
    payloads: tuple[NamedPayload, ...]
    failure: ShownFailure | None
    fields: Mapping[str, str]
    """The other fields, for details."""


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, in order."""

    instance_id: str
    execution_id: str
    events: tuple[EventRow, ...]
    next_after: int | None
    """Pass it as `after` for what follows; None at the end so far."""
    last_position: int
    """Up to here it was looked through; as `after` it leads to what is written from now on. -1: there is nothing yet."""
    problem: str = ""
    """Why no more of it can be read, if something has damaged the store; else empty."""


KINDS: tuple[str, ...] = tuple(kind.__name__ for kind in get_args(Event))
"""Every kind of event."""

_LOOKED_THROUGH = 20_000
"""So many events at a time, where a filter lets few through."""
_CARRIED = "carried."


async def read_history(
    look: Look,
    instance_id: str,
    *,
    execution_id: str | None = None,
    after: int = -1,
    limit: int = 100,
    kinds: Collection[str] | None = None,
    text: str = "",
) -> HistoryPage:
    """Events behind position `after`: of these kinds, and whose summary, fields or payloads hold the text, in whatever case.

    Large histories are looked through a part at a time: there may be fewer events than `limit`, none even, and still a `next_after`.
    Raises InstanceNotFound.
    """
    shown = await execution_of(look.client, instance_id, execution_id)
    found: list[EventRow] = []
    last, is_end, problem = after, False, ""
    while len(found) < limit and last - after < _LOOKED_THROUGH and not is_end:
        asked = EVENTS_AT_ONCE if kinds or text else limit + 1 - len(found)
        try:
            events = await read_events(look.client, instance_id, shown, after=last, limit=asked)
        except StoreCorrupt as damage:
            events, problem = (), str(damage)
        steps = await look.steps(instance_id, shown, up_to=events[-1].position) if events else Steps()
        is_end = len(events) < asked
        for event in events:
            if len(found) == limit:
                is_end = False
                break
            last = event.position
            if (not kinds or type(event.event).__name__ in kinds) and _holds(look, event.event, steps, text):
                found.append(_row(look, event, steps))
    return HistoryPage(
        instance_id=instance_id,
        execution_id=shown,
        events=tuple(found),
        next_after=None if is_end else last,
        last_position=last,
        problem=problem,
    )


async def read_event(look: Look, instance_id: str, execution_id: str, position: int) -> EventRow | None:
    """One event; None if there is none (any more). Raises InstanceNotFound."""
    found = await _event(look, instance_id, execution_id, position)
    return None if found is None else _row(look, found, await look.steps(instance_id, execution_id, up_to=position))


async def read_payload(
    look: Look, instance_id: str, execution_id: str, position: int, name: str
) -> WholePayload | None:
    """All of a payload, named as `NamedPayload` does; None if there is none. Raises InstanceNotFound, DecodeError, StoreError."""
    found = await _event(look, instance_id, execution_id, position)
    stored = None if found is None else dict(_stored(found.event)).get(name)
    return None if stored is None else await look.open(stored)


async def _event(look: Look, instance_id: str, execution_id: str, position: int) -> HistoryEvent | None:
    events = await read_events(look.client, instance_id, execution_id, after=position - 1, limit=1)
    return events[0] if events and events[0].position == position else None


def _row(look: Look, found: HistoryEvent, steps: Steps) -> EventRow:
    event, position = found.event, found.position
    number: int | None = getattr(event, "number", None)
    step = None if number is None else steps.by_number.get(number)
    failure: Failure | None = getattr(event, "failure", None)
    at: Micros | None = getattr(event, "at", None) or steps.at(position)
    return EventRow(
        position=position,
        kind=type(event).__name__,
        group=_group(event),
        at=None if at is None else to_datetime(at),
        summary=in_words(event, steps),
        number=number,
        command_position=None if step is None or step.positions[0] == position else step.positions[0],
        instance_id=getattr(event, "instance_id", ""),
        payloads=tuple(NamedPayload(name=name, payload=look.payload(stored)) for name, stored in _stored(event)),
        failure=None if failure is None else look.failure(failure),
        fields=dict(_fields(event)),
    )


def _group(event: Event) -> Literal["applied", "command", "end", "administrative"]:
    if isinstance(event, AppliedEvent):
        return "applied"
    if isinstance(event, CommandEvent):
        return "command"
    return "end" if isinstance(event, EndEvent) else "administrative"


def _stored(event: Event) -> Iterator[tuple[str, bytes]]:
    """Its payloads by name, as they are stored."""
    name = PAYLOAD_FIELDS.get(type(event))
    stored: bytes | None = None if name is None else getattr(event, name)
    if name is not None and stored is not None:
        yield name, stored
    if isinstance(event, ExecutionStarted):
        for place, signal in enumerate(event.carried):
            yield f"{_CARRIED}{place}", signal.payload


_SHOWN_APART = {"at", "number", "arguments", "result", "payload", "failure", "digest", "reply_to"}


def _fields(event: Event) -> Iterator[tuple[str, str]]:
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if field not in _SHOWN_APART and value not in (None, "", b"", (), {}):
            yield field, _said(field, value)


def _said(field: str, value: Any) -> str:
    match field:
        case "due_at":
            return moment(to_datetime(value))
        case "carried":
            return ", ".join(signal.name for signal in value)
        case "headers":
            return ", ".join(f"{name}: {text}" for name, text in value.items())
        case "origins":
            return ", ".join(f"{origin.instance_id} up to {origin.until}" for origin in value)
        case _:
            return value.hex() if isinstance(value, bytes) else str(value)


def _holds(look: Look, event: Event, steps: Steps, text: str) -> bool:
    if not text:
        return True
    wanted = text.casefold()
    if wanted in in_words(event, steps).casefold() or any(wanted in said.casefold() for _, said in _fields(event)):
        return True
    failure: Failure | None = getattr(event, "failure", None)
    if failure is not None and wanted in f"{failure.message}\n{failure.traceback}".casefold():
        return True
    return any(wanted in (look.text_of(stored) or "").casefold() for _, stored in _stored(event))
