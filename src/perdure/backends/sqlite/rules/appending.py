"""What arrives for an instance: pending events, each with the instance's next number, and message ids remembered."""

from __future__ import annotations

import msgspec

from perdure.backends.sqlite.rows import STATES, InstanceRow
from perdure.backends.sqlite.unit import Unit
from perdure.clock import Micros
from perdure.model.event import CancelRequested, SignalReceived
from perdure.model.task import PendingPayload
from perdure.model.transition import Appended, AppendEvent, NotAppended


def append_event(unit: Unit, transition: AppendEvent) -> Appended | NotAppended:
    row = unit.instance_by_id(transition.instance_id)
    if row is None:
        return NotAppended(None)
    if unit.has_seen(row, transition.message_id):
        return Appended()
    if not row.is_running:
        return NotAppended(STATES[row.state])
    unit.remember(row, transition.message_id, transition.keep)
    append(unit, row, arrived(transition.event, unit.now))
    return Appended()


def append(unit: Unit, row: InstanceRow, event: PendingPayload) -> None:
    """Append to a running instance, which is due at once."""
    unit.add_pending(row, event)
    # A stuck instance waits for its retry or for resume, whatever arrives meanwhile.
    if row.stuck_reason is None and (row.wake_at is None or row.wake_at > unit.now):
        row.wake_at = unit.now
    row.updated_at = unit.now


def arrived(event: SignalReceived | CancelRequested, now: Micros) -> SignalReceived | CancelRequested:
    """The event with its time of arrival."""
    return msgspec.structs.replace(event, at=now)
