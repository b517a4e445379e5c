"""What a store answers when an instance can't take what was sent to it, as errors."""

from __future__ import annotations

from perdure.errors import InstanceNotFound, InstanceNotRunning
from perdure.model.instance import State
from perdure.model.transition import NotAppended


def check_taken(instance_id: str, answer: object) -> None:
    """Raises InstanceNotFound, InstanceNotRunning."""
    if isinstance(answer, NotAppended):
        raise nobody(instance_id, answer.state)


def nobody(instance_id: str, state: State | None) -> InstanceNotFound | InstanceNotRunning:
    if state is None:
        return InstanceNotFound(f"there is no instance {instance_id!r} in this store", instance_id)
    return InstanceNotRunning(f"instance {instance_id!r} has ended ({state}): it takes nothing any more", instance_id)
