"""The large payloads of a batch, or of one transition: what is written of them, and what stands in their place.

A store does this by itself, whoever asks for the transition, and writes the blobs in the transaction of what names them. So nobody
sees an event without its blob, a crash leaves no blob without its event, and removing the instance removes both. What goes to
another instance (a child's start and its end, a signal) arrives there whole and becomes a blob of the receiver's own: each instance
can be removed and moved by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, TypeVar

import msgspec

from perdure.clock import random_id
from perdure.model.event import ExecutionStarted
from perdure.model.reference import PAYLOAD_FIELDS, divide, is_reference, read_reference

S = TypeVar("S", bound=msgspec.Struct)

BLOB_THRESHOLD = 128 * 1024
"""Up to that a payload in its event's row is no slower than a row of its own (docs/payloads.md has the figures)."""

_LARGEST_ROW = 4 * 1024 * 1024
"""A row of many payloads may be larger than any of them: then those of `_LIGHT` bytes go, too."""
_LIGHT = 4 * 1024
_STEM, _SLOT = 12, 6


class BlobChanges(Protocol):
    """What is to be written; `bytes` is roughly how much."""

    blobs: dict[bytes, tuple[int, bytes]]
    dropped_blobs: dict[bytes, int]
    bytes: int


class Apart:
    """Finds large payloads, and puts their blobs among the changes."""

    def __init__(self, changes: BlobChanges, threshold: int) -> None:
        self.threshold = threshold
        """In bytes; a row that isn't larger has nothing to keep apart."""
        self._changes = changes
        self._known: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        """Payloads and what stands for them, by instance and identity: an activity's arguments are in two rows."""

    def begin(self) -> None:
        """A batch begins."""
        if self._known:
            self._known.clear()

    def rows(self, instance_key: int, rows: Sequence[S], size: int) -> list[S]:
        """What is written in one row, which would have `size` bytes, without what is too large."""
        limit = min(self.threshold, _LIGHT) if size > max(self.threshold, _LARGEST_ROW) else self.threshold
        return [self._lighter(instance_key, each, limit) for each in rows]

    def _lighter(self, instance_key: int, event: S, limit: int) -> S:
        changed: dict[str, object] = {}
        name = PAYLOAD_FIELDS.get(type(event))
        payload = None if name is None else getattr(event, name)
        if name is not None and payload is not None and len(payload) > limit and not is_reference(payload):
            changed[name] = self._keep(instance_key, payload)
        if isinstance(event, ExecutionStarted) and event.carried:
            changed["carried"] = tuple(self._lighter(instance_key, signal, limit) for signal in event.carried)
        return msgspec.structs.replace(event, **changed) if changed else event

    def payload(self, instance_key: int, payload: bytes) -> bytes:
        """What is written of a payload that may be too large, or known."""
        if self._known:
            known = self._known.get((instance_key, id(payload)))
            if known is not None:
                return known[1]
        return self._keep(instance_key, payload) if len(payload) > self.threshold else payload

    def in_slot(self, instance_key: int, name: str, payload: bytes, stored: bytes | None = None) -> bytes:
        """The same for what has one value at a time: the blobs of its last large one go. `stored` may be that one."""
        if len(payload) <= self.threshold or is_reference(payload):
            return payload
        slot = blake2b(b"%d %s" % (instance_key, name.encode()), digest_size=_SLOT).digest()
        stem = slot + blake2b(payload, digest_size=_STEM - _SLOT).digest()
        if stored is not None and is_reference(stored) and read_reference(stored).stem == stem:
            return stored
        self._drop(instance_key, slot)
        return self._write(instance_key, payload, stem)

    def empty_slot(self, instance_key: int, stored: bytes | None) -> None:
        """Nobody will read this value of a slot any more."""
        if stored is not None and is_reference(stored):
            self._drop(instance_key, read_reference(stored).stem[:_SLOT])

    def _drop(self, instance_key: int, slot: bytes) -> None:
        blobs = self._changes.blobs
        for blob_id in [some for some in blobs if some.startswith(slot)]:
            del blobs[blob_id]
        self._changes.dropped_blobs[slot] = instance_key

    def _keep(self, instance_key: int, payload: bytes) -> bytes:
        key = (instance_key, id(payload))
        if key not in self._known:
            self._known[key] = (payload, self._write(instance_key, payload, random_id()[:_STEM]))
        return self._known[key][1]

    def _write(self, instance_key: int, payload: bytes, stem: bytes) -> bytes:
        reference, blobs = divide(payload, stem)
        for blob_id, data in blobs:
            self._changes.blobs[blob_id] = (instance_key, data)
        self._changes.bytes += len(payload)
        return reference.as_payload()
