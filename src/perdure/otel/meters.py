"""The metrics: docs/metrics.md tells of each.

Names and units follow OpenTelemetry's conventions, attributes have few values: never an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter_provider

from perdure.clock import Micros
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import ExecutionStarted
from perdure.model.task import ActivityTask
from perdure.model.transition import AttemptEnd
from perdure.observability.telemetry import Held, Seen
from perdure.otel.outcomes import outcome_of

_MICRO: Final = 1_000_000
_QUICK: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds of what a worker or a store does."""
_LONG: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 28_800, 86_400, 604_800)
"""Seconds of what users do, or wait for."""
_COUNTS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Meters:
    """All instruments of one OpenTelemetry, which several workers may share."""

    def __init__(self, provider: MeterProvider | None, look_seconds: float | None) -> None:
        meter = (provider or get_meter_provider()).get_meter("perdure", version("perdure"))
        self.look_seconds = look_seconds
        self._held: list[Callable[[], Held]] = []
        self._seen: Seen | None = None
        self._count_instances(meter)
        self._count_tasks(meter)
        self._watch_stores(meter)

    def _count_instances(self, meter: Meter) -> None:
        self._started = meter.create_counter("perdure.workflow.started", "{instance}", "Instances that began to run.")
        self._finished = meter.create_counter(
            "perdure.workflow.finished", "{execution}", "Executions that ended, by state."
        )
        self._lasted = meter.create_histogram(
            "perdure.workflow.duration",
            "s",
            "From the beginning of an execution to its end.",
            explicit_bucket_boundaries_advisory=_LONG,
        )

    def _count_tasks(self, meter: Meter) -> None:
        self._task_waited = meter.create_histogram(
            "perdure.workflow_task.schedule_to_start",
            "s",
            "From the arrival of an event to its application, where it was claimed.",
            explicit_bucket_boundaries_advisory=_QUICK,
        )
        self._task_took = meter.create_histogram(
            "perdure.workflow_task.duration",
            "s",
            "Running workflow code until it blocks; without the commit.",
            explicit_bucket_boundaries_advisory=_QUICK,
        )
        self._attempts = meter.create_counter(
            "perdure.activity.attempts", "{attempt}", "Attempts of activities that ended, by outcome."
        )
        self._activity_waited = meter.create_histogram(
            "perdure.activity.schedule_to_start",
            "s",
            "From the command to the beginning of the first attempt.",
            explicit_bucket_boundaries_advisory=_LONG,
        )
        self._activity_took = meter.create_histogram(
            "perdure.activity.duration",
            "s",
            "Running an attempt of an activity.",
            explicit_bucket_boundaries_advisory=_LONG,
        )
        meter.create_observable_gauge(
            "perdure.activity.running", [self._running_activities], "{attempt}", "Attempts that run now."
        )

    def _watch_stores(self, meter: Meter) -> None:
        self._hits = meter.create_counter(
            "perdure.cache.hits", "{task}", "Workflow tasks whose execution was in memory."
        )
        self._misses = meter.create_counter(
            "perdure.cache.misses", "{task}", "Workflow tasks whose execution was replayed from its history."
        )
        self._evictions = meter.create_counter(
            "perdure.cache.evictions", "{execution}", "Executions that left memory for others."
        )
        meter.create_observable_gauge(
            "perdure.cache.size", [self._executions], "{execution}", "Executions in memory now."
        )
        self._claims = meter.create_histogram(
            "perdure.claim.tasks",
            "{task}",
            "What a claim brought.",
            explicit_bucket_boundaries_advisory=_COUNTS,
        )
        self._batches = meter.create_histogram(
            "perdure.commit.transitions",
            "{transition}",
            "Transitions that one commit of the store carried for this worker.",
            explicit_bucket_boundaries_advisory=_COUNTS,
        )
        self._commits = meter.create_histogram(
            "perdure.commit.duration",
            "s",
            "From handing the first transition of a batch over until it is durable.",
            explicit_bucket_boundaries_advisory=_QUICK,
        )
        meter.create_observable_gauge(
            "perdure.queue.depth", [self._depths], "{task}", "Tasks that are due and in nobody's hands."
        )
        meter.create_observable_gauge(
            "perdure.queue.oldest_age", [self._ages], "s", "Since when the longest waiting task of a queue is due."
        )
        meter.create_observable_gauge(
            "perdure.workflow.stuck", [self._stuck], "{instance}", "Running instances that don't go on."
        )

    # --- executions

    def concluded(self, workflow: str, queue: str, started_at: Micros, now: Micros, checkpoint: Checkpoint) -> None:
        """The checkpoint is durable."""
        first = checkpoint.events[0] if checkpoint.events else None
        if isinstance(first, ExecutionStarted) and first.execution_number == 1:
            self._started.add(1, {"perdure.workflow": workflow, "perdure.queue": queue})
        if checkpoint.closing is not None:
            about = {"perdure.workflow": workflow, "perdure.state": checkpoint.closing.state.value}
            self._finished.add(1, {**about, "perdure.queue": queue})
            self._lasted.record((now - started_at) / _MICRO, about)

    # --- a worker (perdure.observability.telemetry.WorkerWatcher)

    def begin(self, held: Callable[[], Held]) -> Callable[[], None]:
        self._held.append(held)

        def end() -> None:
            self._held.remove(held)
            if not self._held:
                self._seen = None

        return end

    def claimed(self, workflow_tasks: int, activity_tasks: int) -> None:
        self._claims.record(workflow_tasks, _OF_WORKFLOWS)
        self._claims.record(activity_tasks, _OF_ACTIVITIES)

    def stepped(self, workflow: str, *, waited: Micros | None, seconds: float, was_in_memory: bool | None) -> None:
        about = {"perdure.workflow": workflow}
        self._task_took.record(seconds, about)
        if waited is not None:
            self._task_waited.record(waited / _MICRO, about)
        if was_in_memory is not None:
            (self._hits if was_in_memory else self._misses).add(1)

    def evicted(self) -> None:
        self._evictions.add(1)

    def committed(self, transitions: int, seconds: float) -> None:
        self._batches.record(transitions)
        self._commits.record(seconds)

    def saw_store(self, seen: Seen | None) -> None:
        self._seen = seen

    # --- attempts

    def begun(self, task: ActivityTask) -> Callable[[AttemptEnd | None], None]:
        """An attempt begins; to be called with its end."""
        about = {"perdure.activity": task.name, "perdure.queue": task.queue}
        if task.attempt == 1:
            self._activity_waited.record(max(0, task.now - task.scheduled_at) / _MICRO, about)
        begun_at = perf_counter()

        def ended(end: AttemptEnd | None) -> None:
            outcome = {**about, "perdure.outcome": outcome_of(end)}
            self._attempts.add(1, outcome)
            self._activity_took.record(perf_counter() - begun_at, outcome)

        return ended

    # --- what is asked for when metrics are collected, on any thread

    def _executions(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(sum(held().executions for held in list(self._held)))]

    def _running_activities(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(sum(held().activities for held in list(self._held)))]

    def _depths(self, _: CallbackOptions) -> Iterable[Observation]:
        seen = self._seen
        for each in () if seen is None else seen.queues:
            yield Observation(each.workflow_tasks, {"perdure.queue": each.queue, **_OF_WORKFLOWS})
            yield Observation(each.activity_tasks, {"perdure.queue": each.queue, **_OF_ACTIVITIES})

    def _ages(self, _: CallbackOptions) -> Iterable[Observation]:
        seen = self._seen
        for each in () if seen is None else seen.queues:
            if seen is not None and each.oldest_due_at is not None:
                age = max(0.0, (seen.at - each.oldest_due_at).total_seconds())
                yield Observation(age, {"perdure.queue": each.queue})

    def _stuck(self, _: CallbackOptions) -> Iterable[Observation]:
        seen = self._seen
        return () if seen is None else [Observation(seen.stuck)]


_OF_WORKFLOWS: Mapping[str, str] = {"perdure.kind": "workflow"}
_OF_ACTIVITIES: Mapping[str, str] = {"perdure.kind": "activity"}
