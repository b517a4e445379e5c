"""The form in which an instance leaves one store and enters another: one format for all stores.

A store turns its rows into a `Snapshot` and back; keys, leases and workers stay behind, since they belong to the store.
A leased activity comes out as due at once, an instance whose workflow task was out likewise.
"""

from __future__ import annotations

import msgspec

from perdure.clock import Micros
from perdure.errors import StoreCorrupt
from perdure.model.checkpoint import NewActivity
from perdure.model.event import ExecutionStarted
from perdure.model.failure import Failure
from perdure.model.inspection import ExportedInstance
from perdure.model.instance import Parent, State
from perdure.model.options import ParentClose
from perdure.model.retention import StoredRetention
from perdure.model.task import PendingPayload


class InstanceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The instance's row. `created_workflow` and `created_digest` are of its first execution."""

    instance_id: str
    execution_id: bytes
    request_id: bytes
    workflow: str
    created_workflow: str
    created_digest: bytes
    digest: bytes
    queue: str
    priority: int
    version: str | None
    state: State
    tags: dict[str, str]
    created_at: Micros
    updated_at: Micros
    ended_at: Micros | None
    deadline_at: Micros | None
    parent: Parent | None
    parent_close: ParentClose
    started: ExecutionStarted
    is_fresh: bool
    """No checkpoint of the execution yet: ExecutionStarted is still to be applied."""
    position: int
    history_bytes: int
    next_pending_id: int
    wake_at: Micros | None
    suspended: bool
    stuck_reason: str | None
    stuck_attempts: int
    lost: int
    """Workflow tasks in a row that were lost with their workers."""
    result: bytes | None
    failure: Failure | None
    reason: str
    retention: StoredRetention | None = None
    remove_at: Micros | None = None


class ExecutionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An execution of the chain, the current one included."""

    execution_id: bytes
    number: int
    state: State
    started_at: Micros
    ended_at: Micros | None
    history_length: int


class EventsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one commit, encoded, the first at `position`."""

    execution_id: bytes
    position: int
    events: bytes


class PendingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A pending event."""

    id: int
    event: PendingPayload


class ActivityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An activity of the current execution that hasn't ended and whose end is waited for."""

    spec: NewActivity
    attempt: int
    lost: int
    scheduled_at: Micros
    due_at: Micros
    last_failure: Failure | None
    heartbeat_details: bytes | None
    cancel_requested: bool


class PublishedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A published value."""

    key: str
    value: bytes


class ReceiptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message id that the instance has seen, remembered until `expires_at`."""

    message_id: bytes
    expires_at: Micros


class BlobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes kept apart."""

    blob_id: bytes
    data: bytes


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one instance. Executions are oldest first, events by execution and position, pending by id."""

    instance: InstanceRecord
    executions: list[ExecutionRecord]
    events: list[EventsRecord]
    pending: list[PendingRecord]
    activities: list[ActivityRecord]
    published: list[PublishedRecord]
    receipts: list[ReceiptRecord]
    blobs: list[BlobRecord]


_PLAIN = (bytes,)


def to_exported(snapshot: Snapshot) -> ExportedInstance:
    """The snapshot as plain rows by table."""
    tables: dict[str, list[dict[str, object]]] = {"instances": [_plain(snapshot.instance)]}
    for name in Snapshot.__struct_fields__[1:]:
        tables[name] = [_plain(row) for row in getattr(snapshot, name)]
    return ExportedInstance(instance_id=snapshot.instance.instance_id, tables=tables)


def _plain(row: msgspec.Struct) -> dict[str, object]:
    # Over MessagePack, since `to_builtins` leaves tuples as they are: rows are the same before and after a journey.
    return msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=dict[str, object])


def from_exported(exported: ExportedInstance) -> Snapshot:
    """The snapshot behind plain rows. Raises StoreCorrupt if they are no export."""
    rows: dict[str, object] = dict(exported.tables)
    instances = exported.tables.get("instances", [])
    if len(instances) != 1:
        raise StoreCorrupt(f"the export of {exported.instance_id!r} has {len(instances)} instances")
    rows["instance"] = instances[0]
    try:
        return msgspec.convert(rows, Snapshot, builtin_types=_PLAIN)
    except msgspec.ValidationError as problem:
        raise StoreCorrupt(f"the export of {exported.instance_id!r} can't be read: {problem}") from problem
