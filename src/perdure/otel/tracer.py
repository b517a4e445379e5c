"""A tracer that workflow code, activities and all other code can share."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as current_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Tracer

from perdure.otel.ids import trace_id_of
from perdure.otel.spans import Scope, Timeline, WorkflowSpan, timeline_here


def get_tracer(
    name: str,
    version: str | None = None,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    schema_url: str | None = None,
) -> Tracer:
    """As OpenTelemetry's `trace.get_tracer`, but for workflow code as well.

    A span of workflow code has the workflow's time, may be open for months, and is exported once, though replay begins and ends it
    again. Elsewhere this is the provider's own tracer.
    """
    return _SharedTracer(Scope(name, version, schema_url), tracer_provider)


class _SharedTracer(Tracer):
    def __init__(self, scope: Scope, provider: trace.TracerProvider | None) -> None:
        self._scope = scope
        self._elsewhere = trace.get_tracer(scope.name, scope.version, provider, scope.schema_url)

    def start_span(  # noqa: PLR0917 - OpenTelemetry's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        timeline = timeline_here.get(None)
        if timeline is None:
            return self._elsewhere.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        context = current_context.get_current() if context is None else context
        parent = trace.get_current_span(context).get_span_context()
        if not timeline.is_live:
            return NonRecordingSpan(parent)
        span = WorkflowSpan(
            timeline,
            name,
            span_context=_next(timeline, parent),
            context=context,
            kind=kind,
            attributes=attributes,
            links=links or (),
            started_at_nanos=start_time,
            scope=self._scope,
        )
        timeline.open[span.span_context.span_id] = span
        return span

    @contextmanager
    def start_as_current_span(  # type: ignore[override]  # noqa: PLR0913, PLR0917 - OpenTelemetry's; its decorator is private
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Generator[Span]:
        span = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span


def _next(timeline: Timeline, parent: SpanContext) -> SpanContext:
    trace_id = parent.trace_id if parent.is_valid else trace_id_of(timeline.execution_id)
    return SpanContext(trace_id, timeline.next_id(), False, parent.trace_flags, parent.trace_state)
