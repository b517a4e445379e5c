"""One history on its own, outside any store: as JSON that a person can read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

import msgspec

from perdure.clock import to_micros
from perdure.errors import DecodeError
from perdure.model.event import Event, ExecutionStarted
from perdure.model.instance import Instance, Parent
from perdure.model.task import WorkflowTask
from perdure.serialization.events import event_from_plain, event_to_plain
from perdure.serialization.payloads import Payloads

_FORMAT = "history 1"


class SavedHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The history of one execution, and what its code can see besides: all that a replay needs."""

    instance_id: str
    execution_id: str
    workflow: str
    queue: str
    priority: int
    version: str | None
    parent: Parent | None
    created_at: datetime
    deadline_at: datetime | None
    events: tuple[Event, ...]

    @classmethod
    def of(cls, instance: Instance, execution_id: str, events: tuple[Event, ...]) -> Self:
        """The history of one of the instance's executions."""
        first = _started(events)
        return cls(
            instance_id=instance.instance_id,
            execution_id=execution_id,
            workflow=instance.workflow if first is None else first.workflow,
            queue=instance.queue,
            priority=instance.priority,
            version=instance.version,
            parent=instance.parent,
            created_at=instance.created_at,
            deadline_at=instance.deadline_at,
            events=events,
        )

    @property
    def started(self) -> ExecutionStarted | None:
        """Its first event, but for what operators wrote before; None if it hasn't begun."""
        return _started(self.events)

    def to_json(self, payloads: Payloads | None = None) -> bytes:
        """JSON, an event a line. Payloads that codecs have changed stay closed, as base64, unless `payloads` opens them."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "events"}
        head = msgspec.json.format(msgspec.json.encode({"perdure": _FORMAT, **fields}), indent=2).decode()
        events = [f"    {msgspec.json.encode(event_to_plain(each, payloads)).decode()}" for each in self.events]
        body = "[\n" + ",\n".join(events) + "\n  ]" if events else "[]"
        return f'{head.removesuffix("}").rstrip()},\n  "events": {body}\n}}\n'.encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What `to_json` gave. Raises DecodeError."""
        try:
            fields = msgspec.json.decode(text, type=dict[str, Any])
            if fields.pop("perdure", None) != _FORMAT:
                raise DecodeError(f'this isn\'t a saved history: it doesn\'t say `"perdure": "{_FORMAT}"`')
            events = [event_from_plain(each) for each in fields.pop("events", ())]
            return msgspec.convert({**fields, "events": ()}, cls).with_events(events)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError, TypeError) as problem:
            raise DecodeError(f"this isn't a saved history: {problem}") from problem

    def with_events(self, events: list[Event]) -> Self:
        """The same with another history."""
        return msgspec.structs.replace(self, events=tuple(events))


def _started(events: tuple[Event, ...]) -> ExecutionStarted | None:
    return next((event for event in events if isinstance(event, ExecutionStarted)), None)


def task_of(history: SavedHistory) -> WorkflowTask:
    """The execution as its worker would have it, without a lease."""
    created_at = to_micros(history.created_at)
    return WorkflowTask(
        instance_key=0,
        instance_id=history.instance_id,
        execution_id=bytes.fromhex(history.execution_id),
        workflow=history.workflow,
        queue=history.queue,
        priority=history.priority,
        version=history.version,
        parent=history.parent,
        token=0,
        position=len(history.events),
        history_bytes=0,
        now=created_at,
        pending=(),
        created_at=created_at,
        deadline_at=None if history.deadline_at is None else to_micros(history.deadline_at),
    )
