"""What leaves a partition, as letters: messages of a checkpoint, ends of sub-workflows, ends of their parents."""

from __future__ import annotations

from perdure.backends.letters import Adopted, Cancel, Ended, ParentClosed, Signal, Start
from perdure.backends.rows import InstanceRow
from perdure.backends.unit.unit import Unit
from perdure.model.checkpoint import Message, SendSignal, StartSubWorkflow
from perdure.model.event import SubWorkflowCompleted, SubWorkflowFailed


def post(unit: Unit, sender: InstanceRow, message: Message) -> None:
    """A message of the sender's checkpoint."""
    if isinstance(message, StartSubWorkflow):
        unit.put_away(sender.instance_id, sender.execution_id, message.instance_id, is_there=False)
        unit.post(
            sender,
            message.instance_id,
            Start(message, unit.keys.draw_elsewhere(unit.now, message.instance_id)),
            message.message_id,
        )
        return
    body = Signal(message) if isinstance(message, SendSignal) else Cancel(message)
    follows_start = bool(sender.children) and unit.children_away(sender).get(message.instance_id) is False
    unit.post(sender, message.instance_id, body, message.message_id, follows_start=follows_start)


def post_end(unit: Unit, child: InstanceRow, event: SubWorkflowCompleted | SubWorkflowFailed) -> None:
    """To its parent."""
    assert child.parent_id is not None
    assert child.parent_execution is not None
    unit.post(child, child.parent_id, Ended(child.parent_execution, event))


def post_closing(unit: Unit, parent: InstanceRow) -> None:
    """To all sub-workflows in other partitions that may still run. They are noted until it has arrived."""
    for child_id, is_there in unit.children_away(parent).items():
        unit.post(parent, child_id, ParentClosed(), follows_start=not is_there)


def post_adoption(unit: Unit, child: InstanceRow) -> None:
    """To the parent of an instance that was imported here."""
    if child.parent_id is not None and child.parent_execution is not None and child.is_running:
        unit.post(child, child.parent_id, Adopted(child.parent_execution))
