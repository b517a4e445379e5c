"""The spans of one execution, from its history as it passes, and from where in the code each command was issued.

Replay passes the same events and commands, and runs the same code, in the same order; so whichever worker sees the end of a
timer knows its beginning, its parent and its id. What ends in replay was exported before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry import context as current_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind

from perdure.clock import Micros
from perdure.model.checkpoint import Checkpoint, Closing
from perdure.model.event import (
    Applied,
    CancelRequested,
    Command,
    SideEffectRecorded,
    SignalDelivered,
    SignalReceived,
    SignalRefused,
    SignalSent,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    SubWorkflowScheduled,
    TimerCancelled,
    TimerFired,
    TimerSet,
    UpdateAccepted,
    UpdateCompleted,
)
from perdure.model.task import WorkflowTask
from perdure.otel.exporting import Exporter, headers_of, remote_links
from perdure.otel.ids import (
    span_id_of_command,
    span_id_of_event,
    span_id_of_execution,
    span_id_of_update,
    trace_id_of,
)
from perdure.otel.meters import Meters
from perdure.otel.spans import Timeline, WorkflowSpan, timeline_here
from perdure.workflows.scheduling import WORKFLOW as SCHEDULE

_OPENED: Final = (TimerSet, SubWorkflowScheduled, SignalSent, SideEffectRecorded)
"""Commands that make a span, whose parent is the current span of the code that issues them."""


class ExecutionTrace:
    """`perdure.observability.telemetry.ExecutionWatcher` for spans and metrics."""

    def __init__(self, exporter: Exporter, meters: Meters, task: WorkflowTask, started_at: Micros) -> None:
        self._exporter = exporter
        self._meters = meters
        self._workflow, self._queue, self._started_at = task.workflow, task.queue, started_at
        self._timeline = Timeline(task.execution_id, started_at)
        self._drains = 0
        self._issued: dict[int, Context] = {}
        """Where the commands of this drain come from."""
        self._open: dict[int | bytes, WorkflowSpan] = {}
        """Of commands by their numbers, of updates by their ids."""
        context = _parent_of(task, current_context.get_current())
        self._root = WorkflowSpan(
            self._timeline,
            f"workflow {task.workflow}",
            span_context=self._root_context(task, context),
            context=context,
            kind=SpanKind.CONSUMER,
            attributes=_described(task),
        )
        self._is_schedule = task.workflow == SCHEDULE
        # What a schedule starts, for years, is a trace each.
        self._context = Context() if self._is_schedule else trace.set_span_in_context(self._root, context)
        current_context.attach(self._context)
        timeline_here.set(self._timeline)

    # --- as history passes

    def begin_drain(self, event: Applied, *, is_replay: bool) -> None:
        timeline = self._timeline
        timeline.now, timeline.is_live, timeline.is_replay = event.at, True, is_replay
        self._drains += 1
        if self._issued:  # before the code runs: another try of a sub-workflow, beside the last one
            before = self._open.get(getattr(event, "number", -1))
            self._issued = dict.fromkeys(self._issued, self._context if before is None else before.context)
        follow = _EVENTS.get(type(event))
        if follow is not None:
            follow(self, event)

    def issued(self, command: Command) -> None:
        self._timeline.passed(command.number)
        if isinstance(command, _OPENED):
            is_ours = timeline_here.get(None) is self._timeline  # or it comes of an event, as it is applied
            self._issued[command.number] = current_context.get_current() if is_ours else self._context

    def end_drain(self, commands: Sequence[Command]) -> None:
        for command in commands:
            follow = _COMMANDS.get(type(command))
            if follow is not None:
                follow(self, command)
        self._issued.clear()
        self._timeline.is_live = False

    def become(self, task: WorkflowTask) -> None:
        root = self._root
        self._timeline.execution_id = task.execution_id
        root.span_context = self._root_context(task, root.context)
        self._started_at = task.created_at
        root.started_at_nanos = task.created_at * 1_000
        root.set_attributes(_described(task))

    def headers_of(self, number: int) -> dict[str, str]:
        opened = self._open.get(number)
        return {} if opened is None else headers_of(opened)

    def conclude(self, checkpoint: Checkpoint) -> Callable[[], None]:
        if checkpoint.closing is not None:
            self._close(checkpoint.closing)
        ended, self._timeline.ended = self._timeline.ended, []
        now = self._timeline.now

        def once_durable() -> None:
            if not self._is_schedule:
                self._exporter.export(ended)
            self._meters.concluded(self._workflow, self._queue, self._started_at, now, checkpoint)

        return once_durable

    # --- each kind of event and command

    def _open_timer(self, command: TimerSet) -> None:
        delay = (command.due_at - self._timeline.now) / 1_000_000
        self._begin(command.number, "timer", attributes={"perdure.timer.seconds": delay})

    def _open_sub_workflow(self, command: SubWorkflowScheduled) -> None:
        about = {"perdure.workflow": command.workflow, "perdure.instance.id": command.instance_id}
        self._begin(command.number, f"sub-workflow {command.workflow}", SpanKind.PRODUCER, about)

    def _open_signal(self, command: SignalSent) -> None:
        about = {"perdure.signal": command.name, "perdure.instance.id": command.instance_id}
        self._begin(command.number, f"signal {command.name}", SpanKind.PRODUCER, about)

    def _side_effect(self, command: SideEffectRecorded) -> None:
        span = self._begin(command.number, f"side effect {command.name}")
        if command.failure is not None:
            span.fail(command.failure)
        self._end(command.number)

    def _forget(self, command: TimerCancelled) -> None:
        self._open.pop(command.number, None)

    def _update_completed(self, command: UpdateCompleted) -> None:
        span = self._open.get(command.update_id)
        if span is not None and command.failure is not None:
            span.fail(command.failure)
        self._end(command.update_id)

    def _answered(self, event: TimerFired | SubWorkflowCompleted | SignalDelivered) -> None:
        self._end(event.number)

    def _failed(self, event: SubWorkflowFailed | SignalRefused) -> None:
        span = self._open.get(event.number)
        if span is not None:
            span.fail(event.failure)
        self._end(event.number)

    def _received(self, event: SignalReceived) -> None:
        span = self._span(
            span_id_of_event(self._timeline.execution_id, self._drains),
            f"receive {event.name}",
            self._context,
            SpanKind.CONSUMER,
            {"perdure.signal": event.name},
        )
        span.links = remote_links(event.headers)
        span.end()

    def _update_accepted(self, event: UpdateAccepted) -> None:
        span_id = span_id_of_update(self._timeline.execution_id, event.update_id)
        about = {"perdure.update": event.name}
        self._open[event.update_id] = self._span(
            span_id, f"update {event.name}", self._context, SpanKind.CONSUMER, about
        )

    def _cancel_requested(self, event: CancelRequested) -> None:
        self._root.add_event("cancel requested", {"perdure.reason": event.reason} if event.reason else None)

    # --- beginnings and ends

    def _begin(
        self,
        number: int,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
    ) -> WorkflowSpan:
        span_id = span_id_of_command(self._timeline.execution_id, number)
        context = self._issued.get(number, self._context)
        span = self._open[number] = self._span(span_id, name, context, kind, attributes)
        return span

    def _span(
        self, span_id: int, name: str, context: Context, kind: SpanKind, attributes: Mapping[str, Any] | None = None
    ) -> WorkflowSpan:
        parent = trace.get_current_span(context).get_span_context()
        return WorkflowSpan(
            self._timeline,
            name,
            span_context=SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state),
            context=context,
            kind=kind,
            attributes=attributes,
        )

    def _end(self, which: int | bytes) -> None:
        span = self._open.pop(which, None)
        if span is not None:
            span.end()

    def _close(self, closing: Closing) -> None:
        """The execution is over, and with it all that is open, but for timers, of which nothing ever came."""
        self._timeline.is_live = True
        for span in [*self._timeline.open.values(), *self._open.values()]:
            if span.name != "timer":
                span.set_attribute("perdure.abandoned", True)
                span.end()
        self._open.clear()
        root = self._root
        root.set_attribute("perdure.state", closing.state.value)
        if closing.following is not None:
            root.set_attribute("perdure.next_execution.id", closing.following.execution_id.hex())
        if closing.failure is not None:
            root.fail(closing.failure)
        root.end()
        self._timeline.is_live = False

    def _root_context(self, task: WorkflowTask, context: Context) -> SpanContext:
        parent = trace.get_current_span(context).get_span_context()
        trace_id = parent.trace_id if parent.is_valid else trace_id_of(task.execution_id)
        flags, state = self._exporter.sampled(context, trace_id, f"workflow {task.workflow}", _described(task))
        return SpanContext(trace_id, span_id_of_execution(task.execution_id), False, flags, state)


_EVENTS: Mapping[type, Callable[[ExecutionTrace, Any], None]] = {
    TimerFired: ExecutionTrace._answered,
    SubWorkflowCompleted: ExecutionTrace._answered,
    SignalDelivered: ExecutionTrace._answered,
    SubWorkflowFailed: ExecutionTrace._failed,
    SignalRefused: ExecutionTrace._failed,
    SignalReceived: ExecutionTrace._received,
    UpdateAccepted: ExecutionTrace._update_accepted,
    CancelRequested: ExecutionTrace._cancel_requested,
}

_COMMANDS: Mapping[type, Callable[[ExecutionTrace, Any], None]] = {
    TimerSet: ExecutionTrace._open_timer,
    TimerCancelled: ExecutionTrace._forget,
    SubWorkflowScheduled: ExecutionTrace._open_sub_workflow,
    SignalSent: ExecutionTrace._open_signal,
    SideEffectRecorded: ExecutionTrace._side_effect,
    UpdateCompleted: ExecutionTrace._update_completed,
}


def _parent_of(task: WorkflowTask, context: Context) -> Context:
    """A sub-workflow's parent is the span of the command that started it, whose id follows from that."""
    headers, parent = trace.get_current_span(context).get_span_context(), task.parent
    if parent is None or not parent.execution_id or not headers.is_valid:
        return context
    span_id = span_id_of_command(parent.execution_id, parent.number)
    starter = SpanContext(headers.trace_id, span_id, True, headers.trace_flags, headers.trace_state)
    return trace.set_span_in_context(NonRecordingSpan(starter), context)


def _described(task: WorkflowTask) -> dict[str, Any]:
    return {
        "perdure.workflow": task.workflow,
        "perdure.instance.id": task.instance_id,
        "perdure.execution.id": task.execution_id.hex(),
        "perdure.queue": task.queue,
    }
