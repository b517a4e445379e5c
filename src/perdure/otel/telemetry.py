"""What an App is given to be traced and measured with OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from opentelemetry import context as current_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Span, SpanKind, TracerProvider

from perdure.clock import Micros, duration_micros
from perdure.model.options import Duration
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.otel.attempts import AttemptTrace
from perdure.otel.execution import ExecutionTrace
from perdure.otel.exporting import Exporter, headers_of
from perdure.otel.meters import Meters


class OpenTelemetry:
    """Traces and measures the workflows and activities of an App, or the starts and signals of a client.

    The providers are the global ones, whenever those are set, or the ones that are given; `propagator` writes and reads the
    headers that connect spans across processes (W3C's trace context and baggage, unless the program has set another one).
    Spans need OpenTelemetry's SDK: with its API alone, headers go on and nothing is exported. Every `look_every` one of the workers
    counts what waits in queues and what is stuck; None is never.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
        look_every: Duration | None = timedelta(minutes=1),
    ) -> None:
        self._exporter = Exporter(tracer_provider)
        self._meters = Meters(meter_provider, None if look_every is None else duration_micros(look_every) / 1_000_000)
        self._propagator = propagator or propagate.get_global_textmap()

    # --- a propagator

    @property
    def fields(self) -> Collection[str]:
        return self._propagator.fields

    @property
    def lasting_fields(self) -> Collection[str]:
        return self._propagator.fields - {"baggage"}

    def inject(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        self._propagator.inject(headers)  # pyright: ignore[reportArgumentType] - its default is for dicts
        return headers

    def extract(self, headers: Mapping[str, str]) -> None:
        current_context.attach(self._propagator.extract(headers, Context()))

    def current_ids(self) -> tuple[str, str] | None:
        return current_ids()

    # --- what is told by client, engine and worker

    @contextmanager
    def starting(self, name: str) -> Generator[Callable[[str, bytes], None]]:
        with self._here(f"start {name}") as span:
            yield lambda instance_id, execution_id: span.set_attributes(
                {"perdure.instance.id": instance_id, "perdure.execution.id": execution_id.hex()}
            )

    @contextmanager
    def signalling(self, name: str, instance_id: str) -> Generator[dict[str, str]]:
        about = {"perdure.signal": name, "perdure.instance.id": instance_id}
        with self._here(f"signal {name}", about) as span:
            yield headers_of(span)

    @contextmanager
    def _here(self, name: str, attributes: Mapping[str, str] | None = None) -> Generator[Span]:
        span = self._exporter.begin(name, SpanKind.PRODUCER, attributes)
        try:
            with trace.use_span(span):
                yield span
        finally:
            self._exporter.end(span)

    def watch(self, task: WorkflowTask, started_at: Micros) -> ExecutionTrace:
        return ExecutionTrace(self._exporter, self._meters, task, started_at)

    def watch_worker(self) -> Meters:
        return self._meters

    def begin_attempt(self, task: ActivityTask) -> AttemptTrace:
        return AttemptTrace(self._exporter, self._meters, task)


def current_ids() -> tuple[str, str] | None:
    """The ids of the trace and the span that the running code belongs to, as logs have them; None outside of any."""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)
