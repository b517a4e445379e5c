"""One execution in memory: events go in, checkpoints come out.

Each event is applied and the code run until it blocks, before the next is looked at: history's order is the only order, and
how events were grouped into workflow tasks changes nothing. A timer that is due goes before the first event that is later
than it. Replay is the same with two differences: the commands are compared with those in history, and nothing comes out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from perdure.app import App
from perdure.clock import Micros
from perdure.engine import apart
from perdure.engine.checkpoints import CheckpointBuilder
from perdure.engine.closing import close
from perdure.engine.core import Core
from perdure.engine.divergence import describe, divergence
from perdure.engine.drains import drains
from perdure.engine.ending import closing_of, compare_end, end_of, leave_updates, told, warn_of_unfinished
from perdure.engine.limits import Limits, check_length
from perdure.engine.machines.machine import COMPLETED, FAILED, FIRED, Machine
from perdure.engine.runtime import ExecutionRuntime
from perdure.engine.whereabouts import Place, places_of
from perdure.errors import NonDeterminismError, StoreCorrupt
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import (
    ActivityCompleted,
    ActivityFailed,
    AdministrativeEvent,
    Applied,
    AppliedEvent,
    CancelRequested,
    ContinueSuggested,
    End,
    EndEvent,
    Event,
    ExecutionStarted,
    SignalDelivered,
    SignalReceived,
    SignalRefused,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    TimerFired,
    UpdateAccepted,
    UpdateRequested,
)
from perdure.model.reply import Reply
from perdure.model.task import PendingEvent, WorkflowTask
from perdure.model.transition import Checkpointed
from perdure.observability.logging import Log
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Execution:
    """An execution, at some position of its history. Not for use by two threads at a time.

    After `replay` or `apply` has raised it is of no use: close it.
    """

    def __init__(
        self,
        task: WorkflowTask,
        definition: Workflow[..., Any],
        app: App,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        logger: Log | None = None,
        outlasts_end: bool = False,
        asks_for_inputs: bool = False,
    ) -> None:
        """With `outlasts_end` the state at the end stays, for queries, until it is closed. `asks_for_inputs`: see apart.py."""
        self._outlasts_end = outlasts_end
        self.instance_key = task.instance_key
        self.instance_id = task.instance_id
        self.execution_id = task.execution_id
        self.workflow = task.workflow
        self.position = 0
        """The length of the history, with all that `apply` has made."""
        self.is_closed = False
        """Whether the workflow has ended."""
        self._core = Core(task, definition, app, limits, logger)
        self._core.asks_for_inputs = asks_for_inputs
        self._runtime = ExecutionRuntime(self._core)

    def go_ahead(self) -> None:
        """The instance isn't in the store yet, and may never be: until `instance_is_there` no side effect runs."""
        self._core.is_ahead = True

    def instance_is_there(self) -> None:
        """The first step is durable, with the instance."""
        self._core.is_ahead = False

    @property
    def waits_for_instance(self) -> bool:
        """Whether a side effect was asked for ahead of the store: the step is of no use then."""
        return self._core.waits_for_instance

    def replay(self, events: Sequence[Event]) -> None:
        """Go on through a stored history, of which `events` come next and are whole.

        Raises NonDeterminismError, DecodeError, StoreCorrupt, InputApart.
        """
        if any(self.replaying(events)):
            raise apart.InputApart("a payload of the history is kept apart")

    def replaying(self, events: Sequence[Event]) -> Iterator[Sequence[bytes]]:
        """`replay` with a pause after each applied event, and before one whose payloads have to be fetched first."""
        core = self._core
        core.is_replaying = True
        begin = self.position
        for index, event, recorded in drains(events):
            following = begin + index + 1 + len(recorded)
            if isinstance(event, AppliedEvent):
                while missing := apart.missing(core, event, recorded):
                    yield missing
                self.position = begin + index + 1
                try:
                    self._replay_one(event, recorded)
                except NonDeterminismError as problem:
                    raise told(core, problem, self.position) from None
                apart.forget(core)
            elif not isinstance(event, AdministrativeEvent):
                raise StoreCorrupt(
                    f"history of {self.instance_id!r}: event {begin + index} ({type(event).__name__}) follows nothing"
                )
            self.position = following
            yield ()
        core.published = None
        core.is_replaying = False

    def apply(self, pending: Sequence[PendingEvent], now: Micros) -> Checkpoint:
        """Apply what has arrived, in order, and the timers that are due at `now`; what that changes.

        What the end of the workflow leaves unapplied isn't in `consumed`, nor what follows an event whose payloads are still
        `missing`. Raises what `replay` raises, and HistoryTooLong and RunawayWorkflow.
        """
        core = self._core
        checkpoint = CheckpointBuilder(self.position)
        for arrived in pending:
            event = arrived.event
            if apart.missing(core, event):
                now = min(event.at or now, now)  # later timers wait for it
                break
            if core.timers:
                self._fire_timers(checkpoint, min(event.at or now, now), now)
            if not self._apply_next(checkpoint, event, now):
                break
            if arrived.id > 0:
                checkpoint.consumed.append(arrived.id)
            if core.is_tainted:
                break  # what is left is applied to a state read from history
        if core.timers:
            self._fire_timers(checkpoint, now, now)
        apart.forget(core)
        published, core.published = core.published, None
        timer = core.next_timer() if core.timers else None
        return checkpoint.build(None if timer is None else timer.due_at, published or {})

    def places(self) -> Sequence[Place]:
        """Where its tasks are, between two events."""
        return places_of(self._core)

    def missing(self, event: Event | UpdateRequested) -> Sequence[bytes]:
        """References to payloads that are to be fetched before the event is applied."""
        return apart.missing(self._core, event)

    def hand_over(self, payloads: Mapping[bytes, bytes]) -> None:
        """Payloads that were fetched, by their references."""
        apart.hand_over(self._core, payloads)

    def query(self, name: str, arguments: bytes) -> Reply:
        """What the workflow's handler says, between two events. Afterwards it may be `is_tainted`."""
        return self._core.handlers_of_its_own().answer(name, arguments)

    @property
    def is_tainted(self) -> bool:
        """Whether what may only look has changed something: then it must be closed, and read again from history."""
        return self._core.is_tainted

    @property
    def has_swallowed_cancel(self) -> bool:
        """Whether the workflow returned as if nothing were, though its cancel had been raised in it.

        Known of an execution that outlasts its end. One that returns before the cancel it owes is raised swallows nothing.
        """
        core = self._core
        main = core.main
        if core.marked_at < 0 or main is None or not main.done() or main.cancelled():
            return False
        return main.exception() is None and not main._owes

    def take_replies(self) -> Sequence[tuple[bytes, Reply]]:
        """Answers to questions, to be given once the last checkpoint is durable."""
        replies, self._core.replies = self._core.replies, None
        return replies or ()

    def conclusion(self, checkpoint: Checkpoint) -> Callable[[], None] | None:
        """What telemetry has to do once the checkpoint is durable."""
        watcher = self._core.watcher
        return None if watcher is None else watcher.conclude(checkpoint)

    def committed(self, outcome: Checkpointed) -> None:
        """The last checkpoint is durable."""
        self._core.history_bytes += outcome.events_bytes

    def close(self) -> None:
        """Take the execution out of memory: its coroutines are closed here, and issue no command."""
        self._leave()

    def _leave(self) -> None:
        close(self._core)
        self._runtime.let_go()

    # --- new events -----------------------------------------------------------------------------------------------

    def _fire_timers(self, checkpoint: CheckpointBuilder, until: Micros, now: Micros) -> None:
        while not self.is_closed:
            timer = self._core.next_timer()
            if timer is None or timer.due_at > until:
                return
            self._apply_next(checkpoint, TimerFired(at=now, number=timer.number), now)

    def _apply_next(self, checkpoint: CheckpointBuilder, event: Applied | UpdateRequested, now: Micros) -> bool:
        """Apply an event, unless the workflow has ended; whether it was applied."""
        if self.is_closed:
            return False
        core = self._core
        at = max(core.now, now)
        if self._is_long() and not self._mind_length(checkpoint, at):
            return False
        if isinstance(event, UpdateRequested):
            self._judge(checkpoint, event, at)
            return True
        if type(event) is ExecutionStarted:
            event = msgspec.structs.replace(event, at=at, python=PYTHON)
        elif event.at != at:
            event = msgspec.structs.replace(event, at=at)
        self._apply_one(checkpoint, event)
        return True

    def _judge(self, checkpoint: CheckpointBuilder, event: UpdateRequested, at: Micros) -> None:
        """An accepted update is applied; one that is refused leaves no trace."""
        reply = self._core.handlers_of_its_own().judge(event)
        if reply is not None:
            self._core.reply(event.reply_to, reply)
            return
        update_id, name, arguments, reply_to = event.update_id, event.name, event.arguments, event.reply_to
        accepted = UpdateAccepted(at=at, update_id=update_id, name=name, arguments=arguments, reply_to=reply_to)
        self._apply_one(checkpoint, accepted)

    def _apply_one(self, checkpoint: CheckpointBuilder, event: Applied) -> None:
        core = self._core
        checkpoint.events.append(event)
        self.position += 1
        self._feed(event)
        entries = core.drain(event)
        for machine, command in entries:
            checkpoint.events.append(command)
            machine.contribute(command, checkpoint)
        self.position += len(entries)
        if core.main is not None and core.main.done():
            end = end_of(core, core.main)
            checkpoint.events.append(end)
            self.position += 1
            checkpoint.closing = closing_of(core, end)
            if core.machines:
                warn_of_unfinished(core)
            core.loop.report_forgotten()
            leave_updates(core)
            self._ended()

    def _is_long(self) -> bool:
        """Whether a mark or a limit is passed at all."""
        size, limits = self._core.history_bytes, self._core.limits
        return (
            self.position >= limits.warn_events
            or self.position >= limits.history_events
            or size >= limits.warn_bytes
            or size >= limits.history_bytes
        )

    def _mind_length(self, checkpoint: CheckpointBuilder, at: Micros) -> bool:
        """Suggest to continue as new, or go no further; whether the workflow still runs."""
        if self._is_suggestion_due():  # an event like others: what its drain leads to comes before the next
            self._apply_one(checkpoint, ContinueSuggested(at=at))
        if not self.is_closed:
            check_length(self.position, self._core.history_bytes, self._core.limits)
        return not self.is_closed

    def _is_suggestion_due(self) -> bool:
        core = self._core
        if core.suggested or core.main is None:
            return False
        limits = core.limits
        return self.position >= limits.warn_events or core.history_bytes >= limits.warn_bytes

    # --- replay ---------------------------------------------------------------------------------------------------

    def _replay_one(self, event: Any, recorded: list[Any]) -> None:
        core = self._core
        end: End | None = recorded.pop() if recorded and isinstance(recorded[-1], EndEvent) else None
        if self.is_closed:
            raise divergence(history=f"another event ({describe(event)})", code="the workflow has ended", site=None)
        core.recorder.begin_replay(recorded)
        self._feed(event)
        core.drain(event)
        if core.main is not None and core.main.done():
            compare_end(core, end, end_of(core, core.main), len(recorded))
            self._ended()
        elif end is not None:
            raise divergence(history=end, code="it goes on", site=None, position=len(recorded))

    def _ended(self) -> None:
        self.is_closed = True
        if not self._outlasts_end:
            self._leave()

    # --- each kind of event ---------------------------------------------------------------------------------------

    def _feed(self, event: Any) -> None:
        core = self._core
        core.now = max(core.now, event.at)
        core.history_length = self.position
        if core.origins and core.outgrow():
            self._runtime.begin_anew()
        if core.main is None and not isinstance(event, ExecutionStarted):
            raise StoreCorrupt(f"history of {self.instance_id!r} begins with {type(event).__name__}")
        _HANDLERS[type(event)](self, event)

    def _started(self, event: ExecutionStarted) -> None:
        core = self._core
        core.now = core.started_at = event.at
        core.python = event.python
        core.version = event.version
        core.headers = event.headers
        core.execution_number = event.execution_number
        core.due_at = event.due_at
        if event.origins:
            core.descend(event.origins)
        for signal in event.carried:
            core.signal_buffer(signal.name).put(signal.payload)
        args, kwargs = core.schema.decode(apart.whole(core, event.arguments))
        core.begin(Context(self._runtime), args, kwargs, self._runtime.is_quiet)

    def _signalled(self, event: SignalReceived) -> None:
        self._core.signal_buffer(event.name).put(event.payload)

    def _cancel_requested(self, _: CancelRequested) -> None:
        self._core.deliver_cancel()

    def _continue_suggested(self, _: ContinueSuggested) -> None:
        self._core.suggested = True

    def _update_accepted(self, event: UpdateAccepted) -> None:
        self._core.handlers_of_its_own().begin(event)

    def _completed(self, event: ActivityCompleted | SubWorkflowCompleted) -> None:
        self._machine(event.number).feed(COMPLETED, event.result)

    def _failed(self, event: ActivityFailed | SubWorkflowFailed | SignalRefused) -> None:
        self._machine(event.number).feed(FAILED, event)

    def _delivered(self, event: SignalDelivered) -> None:
        self._machine(event.number).feed(COMPLETED)

    def _fired(self, event: TimerFired) -> None:
        self._machine(event.number).feed(FIRED)

    def _machine(self, number: int) -> Machine:
        machine = self._core.machines.get(number)
        if machine is None:
            raise divergence(history=f"an answer to command {number}", code="nothing of this number is open", site=None)
        return machine


_HANDLERS: Mapping[type, Callable[[Execution, Any], None]] = {
    ExecutionStarted: Execution._started,
    SignalReceived: Execution._signalled,
    CancelRequested: Execution._cancel_requested,
    UpdateAccepted: Execution._update_accepted,
    ContinueSuggested: Execution._continue_suggested,
    ActivityCompleted: Execution._completed,
    SubWorkflowCompleted: Execution._completed,
    ActivityFailed: Execution._failed,
    SubWorkflowFailed: Execution._failed,
    SignalRefused: Execution._failed,
    SignalDelivered: Execution._delivered,
    TimerFired: Execution._fired,
}
