"""What a checkpoint sends to other instances, delivered in its own transaction; ids make each message one."""

from __future__ import annotations

from perdure.backends.endings import MESSAGES_KEPT, outcome_is_result, refuse_child, refuse_signal
from perdure.backends.memory.appending import add_pending, append, arrived, has_seen, remember
from perdure.backends.memory.creating import insert, remove_instance
from perdure.backends.memory.rows import InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.checkpoint import Message, SendCancel, SendSignal, StartSubWorkflow
from perdure.model.event import SignalDelivered
from perdure.model.instance import Parent


def deliver(tables: Tables, sender: InstanceRow, message: Message, now: Micros) -> None:
    """Deliver one message; an answer is pending for the sender then."""
    match message:
        case StartSubWorkflow():
            _start(tables, sender, message, now)
        case SendSignal():
            _signal(tables, sender, message, now)
        case SendCancel():
            _cancel(tables, sender, message, now)


def _start(tables: Tables, sender: InstanceRow, message: StartSubWorkflow, now: Micros) -> None:
    existing = tables.by_id.get(message.instance_id)
    if existing is not None:
        if existing.request_id == message.message_id:
            return
        if existing.is_running or not message.replaces_failed or outcome_is_result(existing.state):
            add_pending(sender, refuse_child(message, now))
            return
        remove_instance(tables, existing)
    parent = Parent(sender.instance_id, sender.execution_id, message.number)
    tables.place_instance(insert(tables, message, now, parent=parent), now)


def _signal(tables: Tables, sender: InstanceRow, message: SendSignal, now: Micros) -> None:
    target = tables.by_id.get(message.instance_id)
    is_new = target is None or not has_seen(target, message.message_id, now)
    if target is None or (is_new and not target.is_running):
        add_pending(sender, refuse_signal(message, None if target is None else target.state, now))
        return
    if is_new:
        remember(tables, target, message.message_id, now + MESSAGES_KEPT)
        append(tables, target, arrived(message.signal, now), now)
    add_pending(sender, SignalDelivered(at=now, number=message.number))


def _cancel(tables: Tables, sender: InstanceRow, message: SendCancel, now: Micros) -> None:
    target = tables.by_id.get(message.instance_id)
    parent = Parent(sender.instance_id, sender.execution_id, message.child_number)
    if target is None or not target.is_running or target.parent != parent:
        return
    if not has_seen(target, message.message_id, now):
        remember(tables, target, message.message_id, now + MESSAGES_KEPT)
        append(tables, target, arrived(message.cancel, now), now)
