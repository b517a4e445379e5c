"""The span of one attempt of an activity: begun and ended where it runs, and lost with its worker."""

from __future__ import annotations

from opentelemetry import context as current_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from perdure.model.task import ActivityTask
from perdure.model.transition import AttemptEnd
from perdure.otel.exporting import Exporter
from perdure.otel.meters import Meters
from perdure.otel.outcomes import failure_of, outcome_of
from perdure.otel.spans import failed, said_of


class AttemptTrace:
    """`perdure.observability.telemetry.AttemptWatcher` for spans and metrics. The span is the current span of the activity's code."""

    def __init__(self, exporter: Exporter, meters: Meters, task: ActivityTask) -> None:
        self._count = meters.begun(task)
        self._exporter = exporter
        self._span = exporter.begin(f"activity {task.name}", SpanKind.CONSUMER, _described(task))
        current_context.attach(trace.set_span_in_context(self._span))

    def ended(self, end: AttemptEnd | None) -> None:
        self._count(end)
        span = self._span
        span.set_attribute("perdure.outcome", outcome_of(end))
        failure = failure_of(end)
        if failure is not None:
            span.add_event("exception", said_of(failure))
            span.set_attribute("error.type", failure.type_name)
            span.set_status(failed(failure))
        self._exporter.end(span)


def _described(task: ActivityTask) -> dict[str, str | int]:
    return {
        "perdure.activity": task.name,
        "perdure.attempt": task.attempt,
        "perdure.workflow": task.workflow,
        "perdure.instance.id": task.instance_id,
        "perdure.execution.id": task.execution_id.hex(),
        "perdure.queue": task.queue,
    }
