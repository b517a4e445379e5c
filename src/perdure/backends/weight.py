"""The way back to payloads that a store keeps apart (apart.py), for those who need the value."""

from __future__ import annotations

import msgspec

from perdure.backends.protocol import Inspection
from perdure.errors import StoreCorrupt
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import HistoryEvent
from perdure.model.instance import Outcome
from perdure.model.reference import PAYLOAD_FIELDS, is_reference, read_reference, references_in


async def whole(store: Inspection, payload: bytes) -> bytes:
    """The payload itself, whether it was kept apart or not. Raises StoreCorrupt, StoreError."""
    if not is_reference(payload):
        return payload
    try:
        reference = read_reference(payload)
    except ValueError as problem:
        raise StoreCorrupt(str(problem)) from problem
    found = b"".join([await store.read_blob(blob_id) for blob_id in reference.blob_ids])
    if len(found) != reference.size:
        raise StoreCorrupt(f"a payload of {reference.size:,} bytes that is kept apart has {len(found):,}")
    return found


async def with_result(store: Inspection, outcome: Outcome) -> Outcome:
    """The outcome with its result whole. Raises StoreCorrupt, StoreError."""
    if outcome.result is None or not is_reference(outcome.result):
        return outcome
    return msgspec.structs.replace(outcome, result=await whole(store, outcome.result))


async def read_arguments(store: Inspection, instance_id: str) -> bytes:
    """The arguments of the current execution, whole. Raises InstanceNotFound, StoreCorrupt, StoreError."""
    return await whole(store, await store.read_arguments(instance_id))


async def read_published(store: Inspection, instance_id: str, key: str) -> bytes | None:
    """The last value published under `key`, whole. Raises InstanceNotFound, StoreError."""
    while True:
        payload = await store.read_published(instance_id, key)
        if payload is None:
            return None
        try:
            return await whole(store, payload)
        except StoreCorrupt:
            # Its blobs go when another large value is published: then that one is the last.
            if await store.read_published(instance_id, key) == payload:
                raise


async def with_payloads(store: Inspection, found: HistoryEvent) -> HistoryEvent:
    """The event with its payloads, whether they were kept apart or not. Raises StoreCorrupt, StoreError."""
    event = found.event
    if not references_in(event):
        return found
    name = PAYLOAD_FIELDS[type(event)]
    changed: dict[str, object] = {name: await whole(store, getattr(event, name))}
    if isinstance(event, ExecutionStarted):
        changed["carried"] = tuple(
            [msgspec.structs.replace(signal, payload=await whole(store, signal.payload)) for signal in event.carried]
        )
    return HistoryEvent(found.position, msgspec.structs.replace(event, **changed))
