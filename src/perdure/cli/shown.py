"""What stores give, as plain data for people and for JSON: payloads opened, times written out, ids as hex digits."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import msgspec

from perdure.clock import to_datetime
from perdure.errors import DecodeError
from perdure.model.inspection import HistoryEvent
from perdure.model.reference import is_reference, read_reference
from perdure.serialization.payloads import Payloads

_PAYLOADS = frozenset({"arguments", "result", "payload", "heartbeat_details"})
_MINUTE = 60
_UNITS = (("d", 86400, 10**9), ("h", 3600, 24), ("m", 60, 60), ("s", 1, 60))
_INSTANTS = frozenset({"at", "due_at"})


def as_data(value: object, payloads: Payloads, name: str = "") -> Any:
    """The value as what JSON has; `name` is that of the field it comes from."""
    if isinstance(value, HistoryEvent):
        event = as_data(value.event, payloads)
        return {"position": value.position, "event": type(value.event).__name__, **event}
    if isinstance(value, msgspec.Struct):
        return {field: as_data(getattr(value, field), payloads, field) for field in value.__struct_fields__}
    if isinstance(value, bytes):
        return _payload(value, payloads) if name in _PAYLOADS else value.hex()
    if isinstance(value, datetime):
        return at(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): as_data(each, payloads) for key, each in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [as_data(each, payloads) for each in value]
    return at(to_datetime(value)) if name in _INSTANTS and isinstance(value, int) else value


def at(moment: datetime) -> str:
    """An instant in UTC, to the millisecond: `2026-07-01T08:30:00.125Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length_of(length: timedelta) -> str:
    """A length of time by its two largest units: `1.2 s`, `5 m 3 s`, `2 d 4 h`."""
    seconds = length.total_seconds()
    if seconds < _MINUTE:
        return f"{round(seconds * 1000)} ms" if 0 < seconds < 1 else f"{round(seconds, 1):g} s"
    whole = round(seconds)
    parts = [(whole // size % limit, unit) for unit, size, limit in _UNITS]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def printable(text: str) -> str:
    """The text without what a terminal would take for a command."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def escaped(text: str) -> str:
    """JSON whose texts have nothing that a terminal would take for a command, or that turns the direction of a line."""
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def _payload(payload: bytes, payloads: Payloads) -> Any:
    """The value that was stored; what a missing codec keeps closed, as base64."""
    if is_reference(payload):
        return {"bytes": read_reference(payload).size, "reason": "kept apart: pass --blobs to read it"}
    try:
        return msgspec.json.decode(payloads.plain_text(payload))
    except (DecodeError, msgspec.DecodeError) as problem:
        return {"unreadable": base64.b64encode(payload).decode(), "reason": f"{problem}: pass --app for its codecs"}
