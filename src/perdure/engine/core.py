"""What the parts of one execution share: its identity, time, loop, recorder and open commands."""

from __future__ import annotations

import contextvars
import hashlib
import heapq
import logging
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from perdure.clock import Micros
from perdure.engine.handlers import Handlers
from perdure.engine.limits import Limits
from perdure.engine.loop import WorkflowLoop
from perdure.engine.machines.timer import LoopTimerHandle, TimerMachine
from perdure.engine.recorder import Entry, Recorder
from perdure.engine.tasks import DurableTask
from perdure.errors import ActivityError, ActivityTimeout, NotInWorkflow, SignalNotDelivered, SubWorkflowError
from perdure.model.event import Applied, Origin, SubWorkflowFailed
from perdure.model.failure import Failure
from perdure.model.instance import Parent
from perdure.model.reply import Reply, published_key
from perdure.model.task import WorkflowTask
from perdure.observability.logging import Log, instance_fields, mark_workflow_code
from perdure.serialization.failures import to_exception
from perdure.serialization.replies import encode_reply
from perdure.workflows.context import Context, set_current
from perdure.workflows.future import Command, Future, SubWorkflowFuture
from perdure.workflows.signal_channel import SignalBuffer

if TYPE_CHECKING:
    import asyncio

    from perdure.app import App
    from perdure.engine.machines.machine import Machine
    from perdure.observability.telemetry import ExecutionWatcher
    from perdure.workflows.definition import Workflow

_log = logging.getLogger("perdure.workflow")

_INERT_AFTER = (
    20  # commands of a dying execution raise at first, to end its clean-up; then they never end, to end its loops
)


class Dying(BaseException):
    """The execution leaves memory: workflow code can do nothing more. Not an Exception, so that few catch it."""


class Core:
    """The state of an execution that its machines, its runtime and its loop work on."""

    # What most executions never change stands in the class, and is None until it is needed: thousands wait in memory.
    suggested = False
    marked_at = -1
    """The last command before the instance's cancel."""
    refusals = 0
    timers: list[TimerMachine] | None = None
    """A heap; those that are open no longer are passed over."""
    signals: dict[str, SignalBuffer] | None = None
    published: dict[str, bytes] | None = None
    """Since the last checkpoint."""
    replies: list[tuple[bytes, Reply]] | None = None
    """To questions of those who wait for updates, since the last checkpoint."""
    patches: dict[str, bool] | None = None
    handlers: Handlers | None = None
    looker: str | None = None
    """Whose code runs now that may only look."""
    is_tainted = False
    """Whether such code has changed something: history alone knows the state then."""
    watcher: ExecutionWatcher | None = None
    main: DurableTask[Any] | None = None
    root: Context | None = None
    fetched: dict[bytes, bytes] | None = None
    """Payloads that are kept apart, by their references (apart.py)."""
    asks_for_inputs = False
    origins: Sequence[Origin] = ()
    """Whose history is still being replayed, of a fork; then it is itself."""
    is_ahead = False
    """Whether the instance isn't in the store yet."""
    waits_for_instance = False
    """Whether workflow code has asked, ahead of the store, for what can't be taken back."""
    # From the execution's start:
    python: str
    version: str | None
    headers: dict[str, str]
    """Of the execution; what it starts may have others."""
    execution_number: int
    due_at: Micros | None

    def __init__(
        self, task: WorkflowTask, definition: Workflow[..., Any], app: App, limits: Limits, logger: Log | None
    ) -> None:
        self.task = (
            task if not task.pending else msgspec.structs.replace(task, pending=())
        )  # its arguments may be large
        self.definition = definition
        self.app = app
        self.payloads = app.payloads
        self.schema = app.payloads.call(definition.function, skip=1)
        self.limits = limits
        self.base_logger = logger or _log
        self.now: Micros = task.created_at
        self.started_at: Micros = task.created_at
        self.history_length = 0
        self.history_bytes = task.history_bytes
        self.is_replaying = False
        self.recorder = Recorder(limits.drain_commands, compares_inputs=definition.determinism == "strict")
        self.loop = WorkflowLoop(self, task.execution_id)
        self.machines: dict[int, Machine] = {}
        self.commands = 0

    # --- running --------------------------------------------------------------------------------------------------

    def begin(self, root: Context, args: tuple[Any, ...], kwargs: dict[str, Any], is_quiet: Callable[[], bool]) -> None:
        """Make the main task; the next drain begins it. It sees nothing of the worker's context variables."""
        self.root = root
        context = contextvars.Context()
        context.run(set_current, root)
        context.run(mark_workflow_code, is_quiet)
        context.run(self.app.propagation.enter, self.headers)
        if self.app.telemetry is not None:
            self.watcher = context.run(self.app.telemetry.watch, self.task, self.started_at)
            self.recorder.watcher = self.watcher
        self.main = DurableTask(
            self.definition.function(root, *args, **kwargs), loop=self.loop, name="main", context=context
        )
        self.loop.adopt(self.main)

    def descend(self, origins: Sequence[Origin]) -> None:
        """The history begins as another one's: be that one until it ends."""
        self.origins = origins
        self._itself = self.task
        self.loop.hash_base_of(origins[0].execution_id)
        self._pose()

    def outgrow(self) -> bool:
        """Be the next one in line, or itself, once the history has gone past the last one's; whether it had."""
        if self.history_length <= self.origins[0].until:
            return False
        self.origins = self.origins[1:]
        self._pose()
        if self.watcher is not None:
            self.watcher.become(self.task)
        return True

    def _pose(self) -> None:
        if not self.origins:
            self.task = self._itself
            return
        origin = self.origins[0]
        self.task = msgspec.structs.replace(
            self._itself,
            instance_id=origin.instance_id,
            execution_id=origin.execution_id,
            created_at=origin.created_at,
            deadline_at=origin.deadline_at,
            parent=None if origin.parent_instance_id is None else Parent(origin.parent_instance_id, b"", 0),
        )

    def is_quiet(self) -> bool:
        """Whether what the code logs was logged before, or is of no interest any more."""
        return self.is_replaying or (self.loop.dying and self.looker is None)

    def drain(self, event: Applied) -> Sequence[Entry]:
        """Run the code until it blocks; what it asked for meanwhile."""
        assert self.main is not None
        watcher = self.watcher
        if watcher is not None:
            watcher.begin_drain(event, is_replay=self.is_replaying)
        self.loop.drain(self.main, self.recorder, self.limits.drain_steps)
        entries = self.recorder.end()
        if watcher is not None:
            watcher.end_drain([command for _, command in entries])
        return entries

    def await_timer(self, timer: TimerMachine) -> None:
        """It is recorded: from now on it may fire."""
        if self.timers is None:
            self.timers = []
        heapq.heappush(self.timers, timer)

    def next_timer(self) -> TimerMachine | None:
        """The timer that is due first."""
        timers = self.timers
        if not timers:
            return None
        while timers and self.machines.get(timers[0].number) is not timers[0]:
            heapq.heappop(timers)
        return timers[0] if timers else None

    def deliver_cancel(self) -> None:
        """The instance's cancel: mark its context, ask what runs elsewhere, then cancel the main task."""
        if self.marked_at >= 0 or self.main is None or self.root is None:
            return
        self.marked_at = self.commands
        self.root.mark()
        self.loop.marked = True
        for machine in list(self.machines.values()):
            machine.instance_cancelled()
        self.loop.delivering = True
        try:
            self.main.cancel()
        finally:
            self.loop.delivering = False

    # --- for machines ---------------------------------------------------------------------------------------------

    def next_command(self) -> int:
        """The number of a new command."""
        self.commands += 1
        return self.commands

    def was_issued_before_cancel(self, number: int) -> bool:
        return number <= self.marked_at

    def future(self, command: Command) -> Future[Any]:
        loop = self.loop
        future: Future[Any] = Future(loop=loop)
        future.command = command
        future.number = loop.next_number()
        return future

    def sub_workflow_future(self, command: Command) -> SubWorkflowFuture[Any]:
        future: SubWorkflowFuture[Any] = SubWorkflowFuture(loop=self.loop)
        future.command = command
        self.loop.number(future)
        return future

    def derived_id(self, purpose: bytes, number: int) -> bytes:
        """A 128-bit id that every replay gives again."""
        seed = b"%s %s %d" % (self.task.execution_id, purpose, number)
        return hashlib.blake2b(seed, digest_size=16).digest()

    def headers_now(self) -> dict[str, str]:
        """The headers of what workflow code starts now."""
        return self.app.propagation.headers(self.headers)

    def random(self) -> random.Random:
        return random.Random(self.task.execution_id)

    def activity_error(self, failure: Failure) -> Exception:
        wrapper = ActivityTimeout if failure.is_type("perdure.errors.ActivityTimeout") else ActivityError
        return to_exception(failure, self.app.exceptions, wrapper, self.payloads)

    def sub_workflow_error(self, event: SubWorkflowFailed) -> Exception:
        if event.refused or event.cancelled:
            return SubWorkflowError(event.failure.message, event.failure)
        return to_exception(event.failure, self.app.exceptions, SubWorkflowError, self.payloads)

    def signal_error(self, failure: Failure) -> Exception:
        return SignalNotDelivered(failure.message, failure)

    def signal_buffer(self, name: str) -> SignalBuffer:
        if self.signals is None:
            self.signals = {}
        buffer = self.signals.get(name)
        if buffer is None:
            buffer = self.signals[name] = SignalBuffer()
        return buffer

    def handlers_of_its_own(self) -> Handlers:
        if self.handlers is None:
            self.handlers = Handlers(self)
        return self.handlers

    def settle_update(self, update_id: bytes, reply_to: bytes, reply: Reply) -> None:
        """The answer to an accepted update, for whoever asks, now or later."""
        if self.published is None:
            self.published = {}
        self.published[published_key(update_id)] = encode_reply(reply)
        self.reply(reply_to, reply)

    def reply(self, question_id: bytes, reply: Reply) -> None:
        if question_id:
            self.replies = [*(self.replies or ()), (question_id, reply)]

    def check_alive(self) -> None:
        """Raise Dying while the execution leaves memory; to code that won't take no for an answer, hand out nothing."""
        if not self.loop.dying:
            return
        if self.looker is not None:
            raise NotInWorkflow(
                f"{self.looker} may only look: no commands, tasks, timers, chance or published values. What changes "
                "something belongs into an update's handler"
            )
        self.loop.refusals_while_dying += 1
        if self.loop.refusals_while_dying <= _INERT_AFTER:
            raise Dying("this execution is leaving memory; it goes on elsewhere, or later")

    # --- for the loop (LoopOwner) ---------------------------------------------------------------------------------

    def set_loop_timer(
        self, delay: Micros, callback: Callable[[], object], context: contextvars.Context | None
    ) -> asyncio.TimerHandle:
        self.check_alive()
        due_at = self.now + delay
        when = (due_at - self.started_at) / 1_000_000
        return cast("asyncio.TimerHandle", LoopTimerHandle(self, self.next_command(), due_at, when, callback, context))

    def report(self, context: dict[str, Any]) -> None:
        """What asyncio would log: a task or future whose exception nobody looked at."""
        if self.is_quiet():
            return
        problem = context.get("exception")
        self.base_logger.warning(
            "in workflow %s (%s): %s",
            self.task.workflow,
            self.task.instance_id,
            context.get("message", "an error that nobody looked at"),
            exc_info=problem if isinstance(problem, BaseException) else None,
            extra=self.log_fields,
        )

    @property
    def log_fields(self) -> dict[str, object]:
        """What a record says of whom it is about."""
        task = self.task
        return instance_fields(task.instance_id, task.execution_id, task.workflow, task.queue)
