"""What a checkpoint sends to other instances, delivered in its own transaction; ids make each message one."""

from __future__ import annotations

from perdure.backends.endings import outcome_is_result, refuse_child, refuse_signal
from perdure.backends.rows import RESHAPED, STATES, InstanceRow
from perdure.backends.rules.appending import append, arrived
from perdure.backends.rules.creating import insert
from perdure.backends.unit.unit import Unit
from perdure.model.checkpoint import Message, SendCancel, SendSignal, StartSubWorkflow
from perdure.model.event import SignalDelivered
from perdure.model.instance import Parent


def deliver(unit: Unit, sender: InstanceRow, message: Message) -> None:
    """Deliver one message; an answer is pending for the sender then."""
    if isinstance(message, StartSubWorkflow):
        _start(unit, sender, message)
    elif isinstance(message, SendSignal):
        _signal(unit, sender, message)
    else:
        _cancel(unit, sender, message)


def _start(unit: Unit, sender: InstanceRow, message: StartSubWorkflow) -> None:
    existing = unit.instance_by_id(message.instance_id)
    if existing is not None:
        if existing.request_id == message.message_id:
            return
        if existing.is_running or not message.replaces_failed or outcome_is_result(STATES[existing.state]):
            unit.add_pending(sender, refuse_child(message, unit.now))
            return
        unit.remove_instance(existing)
    parent = Parent(sender.instance_id, sender.execution_id, message.number)
    insert(unit, message, message.message_id, parent)
    sender.children += 1
    unit.change(sender, RESHAPED)


def _signal(unit: Unit, sender: InstanceRow, message: SendSignal) -> None:
    target = unit.instance_by_id(message.instance_id)
    is_new = target is None or not unit.has_seen(target, message.message_id)
    if target is None or (is_new and not target.is_running):
        state = None if target is None else STATES[target.state]
        unit.add_pending(sender, refuse_signal(message, state, unit.now))
        return
    if is_new:
        unit.remember(target, message.message_id)
        append(unit, target, arrived(message.signal, unit.now))
    unit.add_pending(sender, SignalDelivered(at=unit.now, number=message.number))


def _cancel(unit: Unit, sender: InstanceRow, message: SendCancel) -> None:
    target = unit.instance_by_id(message.instance_id)
    parent = Parent(sender.instance_id, sender.execution_id, message.child_number)
    if target is None or not target.is_running or target.parent != parent:
        return
    if not unit.has_seen(target, message.message_id):
        unit.remember(target, message.message_id)
        append(unit, target, arrived(message.cancel, unit.now))
