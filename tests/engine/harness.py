"""Drives the engine by hand: a history, the events that a test chooses, and no store.

With `evicting=True` the execution is thrown away after each event and made again from its history, so that each test shows
replay as well. conftest.py closes what a test leaves open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.model.checkpoint import Checkpoint, NewActivity, StartSubWorkflow
from perdure.model.event import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    AppliedEvent,
    CancelRequested,
    Event,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    SignalReceived,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    TimerSet,
    UpdateRequested,
)
from perdure.model.failure import Failure, plain_failure
from perdure.model.reply import Reply
from perdure.model.task import PendingEvent, WorkflowTask
from perdure.serialization.events import decode_events, encode_events
from perdure.serialization.failures import to_failure
from perdure.workflows.context import Context
from perdure.workflows.future import Future
from perdure.workflows.signal import Signal

EPOCH = 1_700_000_000_000_000
SECOND = 1_000_000

_open: list[Execution] = []


def close_open() -> None:
    """Close the executions that a test has left."""
    while _open:
        _open.pop().close()


def act(ctx: Context, name: str, *args: Any, **options: Any) -> Future[Any]:
    """An activity of this name, whatever its arguments."""
    return ctx.execute_activity(Activity(_anything, name=name).with_options(**options), *args)


async def _anything(*args: Any) -> Any:
    return args


class Run:
    """One execution of a workflow."""

    def __init__(
        self,
        workflow: Callable[..., Any],
        *args: Any,
        evicting: bool = False,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        app: App | None = None,
        logger: logging.Logger | None = None,
        execution_id: bytes = bytes(range(16)),
        begin: bool = True,
    ) -> None:
        self.app = app or App(workflows=[workflow])
        self.definition = self.app.workflows[getattr(workflow, "name", None) or next(iter(self.app.workflows))]
        self.evicting = evicting
        self.limits = limits
        self.logger = logger
        self.now = EPOCH
        self.history: list[Any] = []
        self.checkpoints: list[Checkpoint] = []
        self.activities: dict[int, NewActivity] = {}
        self.children: dict[int, StartSubWorkflow] = {}
        self.published: dict[str, bytes] = {}
        self.replies: list[tuple[bytes, Reply]] = []
        """To those who wait for updates, with their questions."""
        self.told: set[int] = set()
        """Open activities whose workers are told to stop."""
        self.execution_id = execution_id
        self._ids = 0
        self.execution = self._new()
        call = self.app.payloads.call(self.definition.function, skip=1).encode(args, {})
        self.started = ExecutionStarted(at=EPOCH, workflow=self.definition.name, arguments=call.payload, python="")
        if begin:
            self.feed(self.started)

    def _task(self) -> WorkflowTask:
        return WorkflowTask(
            instance_key=1, instance_id="test", execution_id=self.execution_id, workflow=self.definition.name,
            queue="default", priority=0, version=None, parent=None, token=1, position=len(self.history),
            history_bytes=0, now=self.now, pending=(), created_at=EPOCH,
        )  # fmt: skip

    def _new(self) -> Execution:
        execution = Execution(self._task(), self.definition, self.app, limits=self.limits, logger=self.logger)
        _open.append(execution)
        return execution

    def feed(self, *events: Any) -> Checkpoint:
        """Apply events as one workflow task."""
        pending = []
        for event in events:
            self._ids += not isinstance(event, ExecutionStarted)
            pending.append(PendingEvent(0 if isinstance(event, ExecutionStarted) else self._ids, event))
        checkpoint = self.execution.apply(pending, self.now)
        self._keep(checkpoint)
        return checkpoint

    def _keep(self, checkpoint: Checkpoint) -> None:
        assert checkpoint.position == len(self.history)
        self.checkpoints.append(checkpoint)
        self.replies += self.execution.take_replies()
        self.history += decode_events(encode_events(checkpoint.events))
        assert self.execution.position == len(self.history)
        self.activities |= {each.number: each for each in checkpoint.activities}
        self.children |= {each.number: each for each in checkpoint.messages if isinstance(each, StartSubWorkflow)}
        for cancel in checkpoint.cancelled_activities:
            if cancel.told:
                self.told.add(cancel.number)
            else:
                self.activities.pop(cancel.number, None)
        self.published |= checkpoint.published
        if self.evicting:
            self.evict()

    def evict(self) -> None:
        """Out of memory, and back from history."""
        self.execution.close()
        self.execution = self.replayed()

    def replayed(self, definition: Callable[..., Any] | None = None) -> Execution:
        """A new execution, made from the history so far, by today's code."""
        if definition is not None:
            app = App(workflows=[definition])
            fresh = Execution(self._task(), next(iter(app.workflows.values())), app, limits=self.limits)
            _open.append(fresh)
        else:
            fresh = self._new()
        fresh.replay(self.history)
        assert fresh.position == len(self.history)
        return fresh

    def read(self) -> Execution:
        """The execution as it stands for queries, also after its end."""
        execution = Execution(self._task(), self.definition, self.app, outlasts_end=True)
        _open.append(execution)
        execution.replay(self.history)
        return execution

    def replay_of(self, other: Run) -> None:
        """Replay another run's history by this one's code and App."""
        self.history = other.history
        self.replayed().close()

    def assert_replays(self) -> None:
        """Every history that this one has been replays."""
        whole = self.history
        for cut in [*cuts(whole), len(whole)]:
            self.history = whole[:cut]
            self.replayed().close()
        self.history = whole

    # --- events ---------------------------------------------------------------------------------------------------

    def number(self, activity: str) -> int:
        """The command number of an open activity, by its name (the first one)."""
        return next(number for number, each in self.activities.items() if each.name == activity)

    def complete(self, activity: str | int, result: Any = None) -> Checkpoint:
        number = activity if isinstance(activity, int) else self.number(activity)
        del self.activities[number]
        return self.feed(ActivityCompleted(at=self.now, number=number, result=self.app.payloads.encode(result)))

    def fail(self, activity: str | int, error: Exception, *, cancelled: bool = False) -> Checkpoint:
        number = activity if isinstance(activity, int) else self.number(activity)
        del self.activities[number]
        failure = to_failure(error, self.app.payloads)
        return self.feed(ActivityFailed(at=self.now, number=number, failure=failure, cancelled=cancelled))

    def complete_child(self, number: int, result: Any = None) -> Checkpoint:
        return self.feed(SubWorkflowCompleted(at=self.now, number=number, result=self.app.payloads.encode(result)))

    def fail_child(
        self, number: int, message: str = "failed", *, cancelled: bool = False, refused: bool = False
    ) -> Checkpoint:
        failure: Failure = plain_failure("SubWorkflowError", message)
        return self.feed(
            SubWorkflowFailed(at=self.now, number=number, failure=failure, cancelled=cancelled, refused=refused)
        )

    def signal(self, signal: Signal[Any], value: Any = None) -> Checkpoint:
        return self.feed(
            SignalReceived(at=self.now, name=signal.name, payload=self.app.payloads.encode(value, signal.type))
        )

    def update(self, name: str, *args: Any, update_id: bytes = b"update 1", is_probe: bool = False) -> Reply | None:
        """Ask for an update; what its sender is told at once. The question is named after the update."""
        before = len(self.replies)
        arguments = self.app.payloads.encode(list(args))
        self.feed(
            UpdateRequested(
                at=self.now, update_id=update_id, name=name, arguments=arguments, reply_to=update_id, is_probe=is_probe
            )
        )
        told = [reply for question, reply in self.replies[before:] if question == update_id]
        return told[0] if told else None

    def query(self, name: str, *args: Any) -> Reply:
        return self.execution.query(name, self.app.payloads.encode(list(args)))

    def to_end(self, results: Sequence[Any] = ()) -> None:
        """Complete activities in the order of their numbers (with their names in capitals), else let a timer fire."""
        given = list(results)
        for _ in range(10_000):
            if self.end != "running":
                return
            if self.activities:
                number, new = next(iter(self.activities.items()))
                self.complete(number, given.pop(0) if given else new.name.upper())
            else:
                self.fire()
        raise AssertionError("it doesn't end")

    def fire(self) -> Checkpoint:
        """Let time pass until the next timer is due."""
        due_at = self.checkpoints[-1].next_timer_at
        assert due_at is not None, f"it waits for nothing: {self.kinds()}"
        self.now = max(self.now, due_at)
        return self.feed()

    def cancel(self) -> Checkpoint:
        return self.feed(CancelRequested(at=self.now))

    def wait(self, seconds: float) -> Checkpoint:
        """Let time pass; what is due fires."""
        self.now += round(seconds * SECOND)
        return self.feed()

    # --- what came of it ------------------------------------------------------------------------------------------

    @property
    def end(self) -> str:
        """running, or how it ended."""
        last = self.history[-1] if self.history else None
        return {
            "ExecutionCompleted": "COMPLETED",
            "ExecutionFailed": "FAILED",
            "ExecutionCancelled": "CANCELLED",
            "ExecutionContinued": "CONTINUED_AS_NEW",
        }.get(type(last).__name__, "running")

    @property
    def result(self) -> Any:
        last = self.history[-1]
        assert isinstance(last, ExecutionCompleted), last
        return self.app.payloads.call(self.definition.function, skip=1).decode_result(last.result)

    @property
    def failure(self) -> Failure:
        last = self.history[-1]
        assert isinstance(last, ExecutionFailed), last
        return last.failure

    @property
    def timers(self) -> list[float]:
        """Due times of timers that were set, relative to the beginning, in seconds."""
        return [(each.due_at - EPOCH) / SECOND for each in self.history if isinstance(each, TimerSet)]

    def kinds(self) -> list[str]:
        """The history as names of events."""
        return [type(each).__name__ for each in self.history]

    def scheduled(self) -> list[str]:
        """The names of the activities that were scheduled, in order."""
        return [each.name for each in self.history if isinstance(each, ActivityScheduled)]


def cuts(history: Sequence[Event]) -> list[int]:
    """Where a task may have ended: before each applied event but the first."""
    return [index for index, each in enumerate(history) if index and isinstance(each, AppliedEvent)]
