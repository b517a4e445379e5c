"""From spans as data to spans of the user's OpenTelemetry SDK: sampled, limited and processed there like any other.

The SDK draws each span's id from the `id_generator` of its tracer. So perdure exports through tracers of its own, copies of the
provider's, whose generator gives the id that the span has had all along; nothing of the user's is changed.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from perdure.errors import ConfigurationError
from perdure.otel.spans import Scope, WorkflowSpan

_OWN = Scope("perdure", version("perdure"))
_RANDOM = 0x02
"""W3C's flag of trace ids, which the first releases that are supported don't name."""
_W3C = TraceContextTextMapPropagator()
_log = logging.getLogger("perdure.otel")


class ChosenIds(threading.local):
    """An id generator that gives the ids of the span that is being exported, and others as the provider would."""

    span_id = 0
    trace_id = 0

    def __init__(self, others: Any) -> None:
        self._others = others

    def generate_span_id(self) -> int:
        return self.span_id or int(self._others.generate_span_id())

    def generate_trace_id(self) -> int:
        return self.trace_id or int(self._others.generate_trace_id())

    def is_trace_id_random(self) -> bool:
        return not self.trace_id and bool(getattr(self._others, "is_trace_id_random", bool)())


class Exporter:
    """Of one OpenTelemetry; `provider` is None for the global one, whenever that is set.

    Whatever samplers and processors of the user's raise, workflows and activities go on.
    """

    def __init__(self, provider: trace.TracerProvider | None) -> None:
        self._provider = provider
        self._found: trace.TracerProvider | None = None
        self._tracers: dict[Scope, trace.Tracer | None] = {}
        if provider is not None and self._tracer(_OWN) is None and not isinstance(provider, trace.NoOpTracerProvider):
            raise ConfigurationError(
                f"{type(provider).__name__} isn't the TracerProvider of OpenTelemetry's SDK: perdure can't give its spans their ids"
            )

    def begin(self, name: str, kind: SpanKind, attributes: Mapping[str, Any] | None = None) -> trace.Span:
        """A span that begins here and now, below the current one."""
        try:
            tracer = self._tracer(_OWN) or (self._provider or trace.get_tracer_provider()).get_tracer(*_OWN)
            span = tracer.start_span(name, kind=kind, attributes=attributes)
            if span.get_span_context().is_valid:
                return span
        except Exception:
            _log.exception("span %r could not be begun", name)
        return trace.NonRecordingSpan(trace.get_current_span().get_span_context())

    def end(self, span: trace.Span) -> None:
        try:
            span.end()
        except Exception:
            _log.exception("a span could not be ended")

    def export(self, spans: Sequence[WorkflowSpan]) -> None:
        for span in spans:
            try:
                self._export(span)
            except Exception:
                _log.exception("span %r could not be exported", span.name)

    def _export(self, span: WorkflowSpan) -> None:
        tracer = self._tracer(span.scope or _OWN)
        if tracer is None:
            return
        ids = tracer.id_generator  # type: ignore[attr-defined]
        ids.span_id, ids.trace_id = span.span_context.span_id, span.span_context.trace_id
        try:
            exported = tracer.start_span(
                span.name, span.context, span.kind, span.attributes, span.links, span.started_at_nanos
            )
        finally:
            ids.span_id = ids.trace_id = 0
        for happening in span.happenings:
            exported.add_event(happening.name, happening.attributes, happening.at_nanos)
        if span.status is not None:
            exported.set_status(span.status)
        exported.end(span.ended_at_nanos)

    def sampled(
        self, context: Context, trace_id: int, name: str, attributes: Mapping[str, Any]
    ) -> tuple[TraceFlags, TraceState]:
        """What the sampler says of an execution's span: those who name it as their parent are told now."""
        parent = trace.get_current_span(context).get_span_context()
        tracer = self._tracer(_OWN)
        if tracer is None:
            return parent.trace_flags, parent.trace_state
        sampler = tracer.sampler  # type: ignore[attr-defined]
        try:
            found = sampler.should_sample(context, trace_id, name, SpanKind.CONSUMER, attributes, ())
        except Exception:
            _log.exception("the sampler failed")
            return parent.trace_flags, parent.trace_state
        sampled = TraceFlags.SAMPLED if found.decision.is_sampled() else TraceFlags.DEFAULT
        return TraceFlags(sampled | parent.trace_flags & _RANDOM), found.trace_state or TraceState()

    def _tracer(self, scope: Scope) -> trace.Tracer | None:
        """A copy of the provider's, with ids of ours. None if nothing is exported."""
        provider = self._provider or trace.get_tracer_provider()
        if provider is not self._found:
            self._found, self._tracers = provider, {}
        if scope not in self._tracers:
            self._tracers[scope] = _with_chosen_ids(provider.get_tracer(*scope))
        return self._tracers[scope]


def _with_chosen_ids(tracer: trace.Tracer) -> trace.Tracer | None:
    if not hasattr(tracer, "id_generator") or not hasattr(tracer, "sampler"):
        return None
    ours: Any = copy.copy(tracer)
    ours.id_generator = ChosenIds(ours.id_generator)
    return ours  # type: ignore[no-any-return]


def headers_of(span: trace.Span) -> dict[str, str]:
    """What a signal carries, to be linked with the span that sent it."""
    headers: dict[str, str] = {}
    _W3C.inject(headers, trace.set_span_in_context(span, Context()))
    return headers


def remote_links(headers: Mapping[str, str]) -> list[Link]:
    """To the span that a signal's headers name."""
    if not headers:
        return []
    found: SpanContext = trace.get_current_span(_W3C.extract(headers, Context())).get_span_context()
    return [Link(found)] if found.is_valid else []
