"""Spans of an execution: kept as data until they end and what ended them is durable.

A workflow's span may last for a year, on many workers, and is begun again by each of them in replay. So it is no span of the SDK
until it is exported: then one is started and ended at once, with the ids and times that it has had all along.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode

from perdure.clock import Micros
from perdure.model.failure import Failure
from perdure.otel.ids import span_id_of_code


class Scope(NamedTuple):
    """The library, as OpenTelemetry has it, that a span comes from."""

    name: str
    version: str | None = None
    schema_url: str | None = None


class Happening(NamedTuple):
    """An event on a span."""

    name: str
    attributes: Mapping[str, Any] | None
    at_nanos: int


class Timeline:
    """What the spans of one execution have in common: its time, and where they go when they end."""

    __slots__ = ("_last", "_place", "ended", "execution_id", "is_live", "is_replay", "now", "open")

    def __init__(self, execution_id: bytes, now: Micros) -> None:
        self.execution_id = execution_id
        self.now = now
        self.is_live = False
        """Whether workflow code runs. What begins or ends while it is only asked, or leaves memory, doesn't count."""
        self.is_replay = False
        self.ended: list[WorkflowSpan] = []
        """Not in replay, and not exported yet."""
        self.open: dict[int, WorkflowSpan] = {}
        """Workflow code's own, by their ids."""
        self._last = self._place = 0

    @property
    def nanos(self) -> int:
        return self.now * 1_000

    def passed(self, number: int) -> None:
        """A command was issued. Replay has the same commands, even where a side effect's spans aren't made again."""
        if number:
            self._last, self._place = number, 0

    def next_id(self) -> int:
        """For a span of workflow code."""
        self._place += 1
        return span_id_of_code(self.execution_id, self._last, self._place)


timeline_here: ContextVar[Timeline] = ContextVar("perdure_timeline")
"""Set where workflow code runs."""


class WorkflowSpan(Span):
    """A span whose time is the workflow's. It can be anybody's current span, and is exported once, by perdure."""

    def __init__(  # noqa: PLR0913 - what a span has
        self,
        timeline: Timeline,
        name: str,
        *,
        span_context: SpanContext,
        context: Context,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] = (),
        started_at_nanos: int | None = None,
        scope: Scope | None = None,
    ) -> None:
        self._timeline = timeline
        self.name = name
        self.span_context = span_context
        self.context = context
        """The parent is its current span."""
        self.kind = kind
        self.scope = scope
        """None: perdure's own."""
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.links = list(links)
        self.happenings: list[Happening] = []
        self.status: Status | None = None
        self.started_at_nanos = timeline.nanos if started_at_nanos is None else started_at_nanos
        self.ended_at_nanos: int | None = None

    def get_span_context(self) -> SpanContext:
        return self.span_context

    def is_recording(self) -> bool:
        return self.ended_at_nanos is None and self.span_context.trace_flags.sampled

    def end(self, end_time: int | None = None) -> None:
        timeline = self._timeline
        if self.ended_at_nanos is not None or not timeline.is_live:
            return
        self.ended_at_nanos = timeline.nanos if end_time is None else end_time
        timeline.open.pop(self.span_context.span_id, None)
        if not timeline.is_replay:
            timeline.ended.append(self)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self.is_recording():
            self.attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self.set_attributes({key: value})

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        if self.is_recording():
            at = self._timeline.nanos if timestamp is None else timestamp
            self.happenings.append(Happening(name, attributes, at))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if self.is_recording():
            self.links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        if self.is_recording():
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self.is_recording() and (self.status is None or self.status.status_code is not StatusCode.OK):
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        kind = type(exception)
        said = {
            "exception.type": f"{kind.__module__}.{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**said, **(attributes or {})}, timestamp)

    def fail(self, failure: Failure) -> None:
        """With what history says."""
        self.add_event("exception", said_of(failure))
        self.set_status(failed(failure))
        self.set_attribute("error.type", failure.type_name)


def said_of(failure: Failure) -> dict[str, str]:
    """The attributes of an exception's event."""
    said = {"exception.type": failure.type_name, "exception.message": failure.message}
    return {**said, "exception.stacktrace": failure.traceback} if failure.traceback else said


def failed(failure: Failure) -> Status:
    return Status(StatusCode.ERROR, f"{failure.type_name}: {failure.message}")
