"""Events to bytes and back: MessagePack for the stores, plain data for people and exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from perdure.errors import DecodeError, StoreCorrupt
from perdure.model.event import CarriedSignal, Event, Origin
from perdure.model.failure import Failure
from perdure.model.task import PendingPayload
from perdure.serialization.payloads import Payloads

_encode = msgspec.msgpack.Encoder().encode
_decode_events = msgspec.msgpack.Decoder(list[Event]).decode
_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_pending = msgspec.msgpack.Decoder(PendingPayload).decode


def encode_events(history: Sequence[Event]) -> bytes:
    """The events of one commit, as a row has them."""
    return _encode(history)


def decode_events(row: bytes) -> list[Event]:
    """Raises StoreCorrupt."""
    try:
        return _decode_events(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise StoreCorrupt(_corrupt("events of a history", row, problem)) from problem


def encode_pending(event: PendingPayload) -> bytes:
    return _encode(event)


def decode_pending(row: bytes) -> PendingPayload:
    """Raises StoreCorrupt."""
    try:
        event: PendingPayload = _decode_pending(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise StoreCorrupt(_corrupt("a pending event", row, problem)) from problem
    return event


def event_name(event: Event) -> str:
    return type(event).__name__


def event_to_plain(event: Event, payloads: Payloads | None = None) -> dict[str, Any]:
    """The event as JSON has it: `{"event": name, field: value, …}`, fields that have their default left out.

    A payload is `{"json": value}` where its text is JSON, else `{"base64": text}`; with `payloads`, one that codecs
    have changed is shown as JSON too. Other bytes are `{"hex": text}`. `event_from_plain` takes it back.
    """
    return {"event": event_name(event), **_fields_to_plain(event, payloads)}


def event_from_plain(plain: Mapping[str, Any]) -> Event:
    """The event again. Raises DecodeError if it isn't one."""
    name = plain.get("event")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise DecodeError(f"{name!r} isn't the name of an event")
    try:
        struct = _struct_from_plain(kind, {key: value for key, value in plain.items() if key != "event"})
        event: Event = _decode_event(_encode(struct))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as problem:
        raise DecodeError(f"this isn't a {name}: {problem}") from problem
    return event


def _corrupt(what: str, row: bytes, problem: Exception) -> str:
    return f"{what} can't be read ({len(row)} bytes, beginning {row[:8].hex(' ')}): {problem}"


_KINDS: dict[str, type[msgspec.Struct]] = {kind.__name__: kind for kind in get_args(Event)}
_NESTED: dict[str, type[msgspec.Struct]] = {
    "failure": Failure,
    "cause": Failure,
    "children": Failure,
    "carried": CarriedSignal,
    "origins": Origin,
}
"""Fields that hold one struct, or several."""
_PAYLOADS = frozenset({"arguments", "result", "payload"})
_IDS = frozenset({"digest", "update_id", "reply_to", "execution_id"})


def _fields_to_plain(struct: msgspec.Struct, payloads: Payloads | None) -> dict[str, Any]:
    return {
        field.name: _to_plain(field.name, value, payloads)
        for field in msgspec.structs.fields(struct)
        if (value := getattr(struct, field.name)) != _default(field)
    }


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _to_plain(name: str, value: Any, payloads: Payloads | None) -> object:
    if isinstance(value, bytes):
        return _payload_to_plain(value, payloads) if name in _PAYLOADS else {"hex": value.hex()}
    if isinstance(value, msgspec.Struct):
        return _fields_to_plain(value, payloads)
    if isinstance(value, tuple):
        return [_to_plain(name, item, payloads) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _payload_to_plain(payload: bytes, payloads: Payloads | None) -> dict[str, Any]:
    try:
        text = payload if payloads is None else payloads.plain_text(payload)
        value = msgspec.json.decode(text)
    except (DecodeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"base64": _base64(payload)}
    # A converter may write JSON in a form of its own (spaces, 1.0E5); taken back, it must be the same bytes.
    return {"json": value} if msgspec.json.encode(value) == text else {"base64": _base64(payload)}


def _base64(payload: bytes) -> str:
    encoded: str = msgspec.to_builtins(payload)
    return encoded


def _struct_from_plain(kind: type[msgspec.Struct], plain: Mapping[str, Any]) -> msgspec.Struct:
    return kind(**{name: _from_plain(name, value) for name, value in plain.items()})


def _from_plain(name: str, value: Any) -> Any:
    nested = _NESTED.get(name)
    if nested is not None and isinstance(value, list):
        return tuple(_struct_from_plain(nested, item) for item in value)
    if nested is not None and isinstance(value, dict):
        return _struct_from_plain(nested, value)
    if name in _PAYLOADS and isinstance(value, dict):
        return msgspec.json.encode(value["json"]) if "json" in value else msgspec.convert(value["base64"], bytes)
    if name in _IDS and isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return value
