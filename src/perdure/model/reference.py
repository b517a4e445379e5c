"""References: what stands in the place of a payload that is kept apart from its event, in blobs of at most a mebibyte.

Neither JSON text nor what codecs made of it begins with a reference's first byte. So whole payloads and references stand side by
side in one history, and who reads needs no setting of who wrote. Stores make references and nobody else does: what comes from
outside is JSON or coded.

    0xC2, 12 bytes that are the blobs' own, the payload's size, the number of blobs

The id of each blob is the twelve bytes with its place among them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import msgspec

from perdure.model.event import (
    ActivityCompleted,
    ActivityScheduled,
    CarriedSignal,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionStarted,
    SideEffectRecorded,
    SignalReceived,
    SignalSent,
    SubWorkflowCompleted,
    SubWorkflowScheduled,
    UpdateAccepted,
    UpdateCompleted,
    UpdateRequested,
)

MARK = b"\xc2"
_FORM = struct.Struct(">c12sQI")
LONGEST_BLOB = 1024 * 1024
"""Some servers take no statement over 16 MiB, and what writes it holds several copies."""


PAYLOAD_FIELDS: Mapping[type, str] = {
    ExecutionStarted: "arguments",
    CarriedSignal: "payload",
    SignalReceived: "payload",
    ActivityCompleted: "result",
    SubWorkflowCompleted: "result",
    UpdateRequested: "arguments",
    UpdateAccepted: "arguments",
    ActivityScheduled: "arguments",
    SubWorkflowScheduled: "arguments",
    SignalSent: "payload",
    SideEffectRecorded: "result",
    UpdateCompleted: "result",
    ExecutionCompleted: "result",
    ExecutionContinued: "arguments",
}
"""Where the payload is of each kind of event that has one. The start has signals, too."""


class Reference(msgspec.Struct, frozen=True):
    """Where a payload's bytes are."""

    stem: bytes
    size: int
    """Of the payload."""
    parts: int

    @property
    def blob_ids(self) -> list[bytes]:
        """In order."""
        return [self.stem + part.to_bytes(4) for part in range(self.parts)]

    def as_payload(self) -> bytes:
        """What stands in the payload's place."""
        return _FORM.pack(MARK, self.stem, self.size, self.parts)


def is_reference(payload: bytes) -> bool:
    return payload[:1] == MARK


def read_reference(payload: bytes) -> Reference:
    """Of what `is_reference`. Raises ValueError."""
    try:
        _, stem, size, parts = _FORM.unpack(payload)
    except struct.error as problem:
        raise ValueError(f"a reference to a payload has {len(payload)} bytes instead of {_FORM.size}") from problem
    return Reference(stem, size, parts)


def references_in(event: object) -> tuple[bytes, ...]:
    """Of the event's payloads, those that are kept apart."""
    name = PAYLOAD_FIELDS.get(type(event))
    if name is None:
        return ()
    payload: bytes | None = getattr(event, name)
    found: tuple[bytes, ...] = (payload,) if payload is not None and payload[:1] == MARK else ()
    if type(event) is ExecutionStarted and event.carried:
        found += tuple(signal.payload for signal in event.carried if signal.payload[:1] == MARK)
    return found


def divide(payload: bytes, stem: bytes) -> tuple[Reference, Iterator[tuple[bytes, bytes]]]:
    """The reference to a payload, and its blobs with their ids. `stem` are twelve bytes that no other payload has."""
    starts = range(0, len(payload), LONGEST_BLOB)
    reference = Reference(stem, len(payload), len(starts))
    return reference, (
        (blob_id, payload[start : start + LONGEST_BLOB])
        for blob_id, start in zip(reference.blob_ids, starts, strict=True)
    )
