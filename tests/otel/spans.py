"""Spans that stay in memory, and are looked at as a tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from perdure.otel import OpenTelemetry, get_tracer


class Spans:
    """A provider of its own, and what it exported."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.telemetry = OpenTelemetry(tracer_provider=self.provider)
        self.tracer = get_tracer("shop", tracer_provider=self.provider)

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span

    def forget(self) -> None:
        self._exporter.clear()

    def tree(self) -> str:
        """The names, the parents first; siblings in the order in which they ended."""
        lines = list[str]()

        def below(parent: int | None, depth: int) -> None:
            for span in sorted(self.all, key=lambda each: each.end_time or 0):
                if (span.parent.span_id if span.parent else None) == parent:
                    lines.append("  " * depth + span.name)
                    below(id_of(span), depth + 1)

        below(None, 0)
        return "\n".join(lines)

    def check_each_is_there_once(self) -> None:
        ids = Counter(id_of(span) for span in self.all)
        assert [span.name for span in self.all if ids[id_of(span)] > 1] == []
        assert [span.name for span in self.all if span.parent and span.parent.span_id not in ids] == []
        for span in self.all:
            assert span.start_time is not None
            assert span.end_time is not None
            assert span.start_time <= span.end_time


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)
