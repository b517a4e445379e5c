"""What arrives for an instance: pending events, each with the instance's next number, and message ids remembered."""

from __future__ import annotations

import heapq

import msgspec

from perdure.backends.memory.leasing import hand_back_or_place
from perdure.backends.memory.rows import NOTHING, InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.event import Sent
from perdure.model.task import PendingEvent, PendingPayload
from perdure.model.transition import Appended, AppendEvent, NotAppended


def append_event(tables: Tables, transition: AppendEvent, now: Micros) -> Appended | NotAppended:
    row = tables.by_id.get(transition.instance_id)
    if row is None:
        return NotAppended(None)
    if has_seen(row, transition.message_id, now):
        return Appended()
    if not row.is_running:
        return NotAppended(row.state)
    remember(tables, row, transition.message_id, now + transition.keep)
    arrive(tables, row, arrived(transition.event, now), now)
    return Appended(workflow_task=hand_back_or_place(tables, transition.offer, row, now))


def append(tables: Tables, row: InstanceRow, event: PendingPayload, now: Micros) -> None:
    """Append to a running instance, which is due at once."""
    arrive(tables, row, event, now)
    tables.place_instance(row, now)


def arrive(tables: Tables, row: InstanceRow, event: PendingPayload, now: Micros) -> None:
    """As `append`, but who calls it gives the instance its place."""
    add_pending(row, tables.lightened(row, event))
    # A stuck instance waits for its retry or for resume, whatever arrives meanwhile.
    if row.stuck_reason is None and (row.wake_at is None or row.wake_at > now):
        row.wake_at = now
    row.updated_at = now


def add_pending(row: InstanceRow, event: PendingPayload) -> None:
    """Give the event its number; when the instance is due is up to the caller."""
    if row.pending is NOTHING:
        row.pending = {}
    row.pending[row.next_pending_id] = PendingEvent(row.next_pending_id, event)
    row.next_pending_id += 1


def arrived(event: Sent, now: Micros) -> Sent:
    """The event with its time of arrival."""
    return msgspec.structs.replace(event, at=now)


def has_seen(row: InstanceRow, message_id: bytes, now: Micros) -> bool:
    """Whether the message came before and is still remembered."""
    expires_at = row.receipts.get(message_id)
    return expires_at is not None and expires_at > now


def remember(tables: Tables, row: InstanceRow, message_id: bytes, expires_at: Micros) -> None:
    """Remember a message id until then."""
    if row.receipts is NOTHING:
        row.receipts = {}
    row.receipts[message_id] = expires_at
    heapq.heappush(tables.receipts, (expires_at, row.key, message_id))


def forget_receipts(tables: Tables, now: Micros) -> None:
    """Forget the ids whose time is over."""
    while tables.receipts and tables.receipts[0][0] <= now:
        _, key, message_id = heapq.heappop(tables.receipts)
        row = tables.instances.get(key)
        if row is not None and row.receipts.get(message_id, now + 1) <= now:
            del row.receipts[message_id]
