"""What a workflow task changes, gathered event by event."""

from __future__ import annotations

from perdure.clock import Micros
from perdure.model.checkpoint import CancelActivity, Checkpoint, Closing, Message, NewActivity
from perdure.model.event import Event


class CheckpointBuilder:
    """The checkpoint in the making."""

    __slots__ = (
        "activities",
        "cancelled_activities",
        "closing",
        "consumed",
        "events",
        "messages",
        "position",
        "published",
    )

    def __init__(self, position: int) -> None:
        self.position = position
        self.events: list[Event] = []
        self.consumed: list[int] = []
        self.activities: dict[int, NewActivity] = {}
        self.cancelled_activities: list[CancelActivity] = []
        self.messages: list[Message] = []
        self.closing: Closing | None = None

    def build(self, next_timer_at: Micros | None, published: dict[str, bytes]) -> Checkpoint:
        """The finished checkpoint. Of an ended execution no activity begins."""
        return Checkpoint(
            position=self.position,
            events=tuple(self.events),
            consumed=tuple(self.consumed),
            next_timer_at=next_timer_at if self.closing is None else None,
            activities=() if self.closing is not None else tuple(self.activities.values()),
            cancelled_activities=tuple(self.cancelled_activities),
            messages=tuple(self.messages),
            published=published,
            closing=self.closing,
        )
