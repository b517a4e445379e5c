"""What a checkpoint sends to other instances, delivered in its own transaction; ids make each message one."""

from __future__ import annotations

from perdure.backends.endings import outcome_is_result, refuse_child, refuse_signal
from perdure.backends.letters import Reply
from perdure.backends.rows import RESHAPED, STATES, InstanceRow
from perdure.backends.rules.appending import append, arrived
from perdure.backends.rules.creating import insert
from perdure.backends.rules.posting import post
from perdure.backends.unit.unit import Unit
from perdure.model.checkpoint import Message, SendCancel, SendSignal, StartSubWorkflow
from perdure.model.event import SignalDelivered, SignalRefused, SubWorkflowFailed
from perdure.model.instance import Parent


def deliver(unit: Unit, sender: InstanceRow, message: Message) -> None:
    """Deliver one message; an answer is pending for the sender then. What leaves the partition is posted."""
    if isinstance(message, StartSubWorkflow):
        sender.children += 1
        unit.change(sender, RESHAPED)
    if unit.is_apart(message.instance_id):
        post(unit, sender, message)
        return
    answer = arrive(unit, sender.instance_id, sender.execution_id, message)
    if answer is not None:
        unit.add_pending(sender, answer)


def arrive(unit: Unit, sender_id: str, execution_id: bytes, message: Message, key: int | None = None) -> Reply | None:
    """What it does to its receiver, who is here; gives what the sender is answered. `key` is a new instance's."""
    if isinstance(message, StartSubWorkflow):
        return _start(unit, Parent(sender_id, execution_id, message.number), message, key)
    if isinstance(message, SendSignal):
        return _signal(unit, message)
    _cancel(unit, Parent(sender_id, execution_id, message.child_number), message)
    return None


def _start(unit: Unit, parent: Parent, message: StartSubWorkflow, key: int | None) -> SubWorkflowFailed | None:
    existing = unit.instance_by_id(message.instance_id)
    if existing is not None:
        if existing.request_id == message.message_id:
            return None
        if existing.is_running or not message.replaces_failed or outcome_is_result(STATES[existing.state]):
            return refuse_child(message, unit.now)
        unit.remove_instance(existing)
    insert(unit, message, message.message_id, parent, key)
    return None


def _signal(unit: Unit, message: SendSignal) -> SignalDelivered | SignalRefused:
    target = unit.instance_by_id(message.instance_id)
    is_new = target is None or not unit.has_seen(target, message.message_id)
    if target is None or (is_new and not target.is_running):
        state = None if target is None else STATES[target.state]
        return refuse_signal(message, state, unit.now)
    if is_new:
        unit.remember(target, message.message_id)
        append(unit, target, arrived(message.signal, unit.now))
    return SignalDelivered(at=unit.now, number=message.number)


def _cancel(unit: Unit, parent: Parent, message: SendCancel) -> None:
    target = unit.instance_by_id(message.instance_id)
    if target is None or not target.is_running or target.parent != parent:
        return
    if not unit.has_seen(target, message.message_id):
        unit.remember(target, message.message_id)
        append(unit, target, arrived(message.cancel, unit.now))
