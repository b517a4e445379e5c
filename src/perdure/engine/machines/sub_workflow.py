"""A sub-workflow: scheduled, then completed, failed, or no longer awaited. With a retry policy, several in a row."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from perdure.engine.apart import whole
from perdure.engine.machines.machine import (
    ABANDON,
    ABANDONED,
    ASK,
    ASKED,
    COMPLETED,
    DONE,
    DROPPED,
    FAILED,
    ISSUED,
    RECORD,
    RECORDED,
    Machine,
    Table,
    give_up,
    is_same_call,
)
from perdure.engine.machines.timer import TimerMachine
from perdure.model.checkpoint import SendCancel, StartSubWorkflow
from perdure.model.event import CancelRequested, Command, SubWorkflowCancelled, SubWorkflowFailed, SubWorkflowScheduled
from perdure.model.retry import StoredRetry, next_delay
from perdure.workflows.future import SubWorkflowFuture

if TYPE_CHECKING:
    from perdure.engine.checkpoints import CheckpointBuilder
    from perdure.engine.core import Core
    from perdure.serialization.calls import CallReader
    from perdure.workflows.context import Context


class SubWorkflowMachine(Machine):
    """One instance of the sub-workflow; see `table` at the end."""

    __slots__ = ("command", "start")

    kind = "sub-workflow"

    def __init__(self, command: SubWorkflowCommand, start: StartSubWorkflow) -> None:
        super().__init__(command.core, start.number)
        self.command: SubWorkflowCommand | None = command
        self.start = start
        self.core.recorder.issue(
            self,
            SubWorkflowScheduled(
                number=start.number,
                workflow=start.workflow,
                instance_id=start.instance_id,
                arguments=start.started.arguments,
                digest=start.digest,
                queue=start.queue,
            ),
        )

    def _leave(self, *_: object) -> SubWorkflowCommand:
        """Nothing more comes of it: forget the command, which knows this machine."""
        self.core.machines.pop(self.number, None)
        command, self.command = self.command, None
        assert command is not None
        return command

    def let_go(self) -> None:
        if self.command is not None:
            give_up(self.command.future)
            self.command = None

    def _drop(self, *_: object) -> None:
        self._leave()

    def _record_cancel(self) -> None:
        self.core.recorder.follow_up(self, SubWorkflowCancelled(number=self.number))

    def instance_cancelled(self) -> None:
        if self.command is not None and not self.command.ctx.is_disconnected:
            self.feed(ASK)

    def _resolve(self, result: bytes) -> None:
        self._leave().completed(result)

    def _fail(self, event: SubWorkflowFailed) -> None:
        self._leave().failed(event)

    def _fail_asked(self, event: SubWorkflowFailed) -> None:
        command = self._leave()
        if event.cancelled:
            command.ended_cancelled()
        else:
            command.failed_for_good(event)

    def is_repeated(self, issued: Any, known: Any, *, with_input: bool) -> bool:
        if isinstance(issued, SubWorkflowCancelled):
            return True
        assert self.command is not None
        names = (issued.workflow, issued.instance_id)
        return names == (known.workflow, known.instance_id) and (
            not with_input or is_same_call(self.core, self.command.schema, issued, known)
        )

    def contribute(self, event: Command, checkpoint: CheckpointBuilder) -> None:
        if isinstance(event, SubWorkflowScheduled):
            checkpoint.messages.append(self.start)
        elif isinstance(event, SubWorkflowCancelled):
            checkpoint.messages.append(
                SendCancel(
                    message_id=self.core.derived_id(b"cancel", self.number),
                    instance_id=self.start.instance_id,
                    child_number=self.number,
                    cancel=CancelRequested(at=0, reason="the parent workflow asked for it"),
                )
            )

    table: ClassVar[Table] = {
        (ISSUED, RECORD): (RECORDED, None),
        (ISSUED, ABANDON): (DROPPED, _drop),
        (ISSUED, ASK): (ASKED, _record_cancel),
        (RECORDED, ABANDON): (ABANDONED, _record_cancel),
        (RECORDED, ASK): (ASKED, _record_cancel),
        (RECORDED, COMPLETED): (DONE, _resolve),
        (RECORDED, FAILED): (DONE, _fail),
        (ASKED, ASK): (ASKED, None),
        (ASKED, ABANDON): (ABANDONED, None),
        (ASKED, COMPLETED): (DONE, _resolve),
        (ASKED, FAILED): (DONE, _fail_asked),
        (ABANDONED, ASK): (ABANDONED, None),
        (ABANDONED, COMPLETED): (DONE, _drop),
        (ABANDONED, FAILED): (DONE, _drop),
        (DONE, ABANDON): (DONE, None),
        (DONE, ASK): (DONE, None),
    }


class SubWorkflowCommand:
    """The command behind `ctx.execute_sub_workflow`'s future: one machine after another while retries last."""

    __slots__ = (
        "attempt",
        "core",
        "ctx",
        "future",
        "last_failure",
        "machine",
        "refused",
        "retry",
        "schema",
        "start",
        "timer",
    )

    def __init__(
        self,
        core: Core,
        ctx: Context,
        schema: CallReader,
        start: Callable[[int, bool], StartSubWorkflow],
        retry: StoredRetry | None,
    ) -> None:
        self.core = core
        self.ctx = ctx
        self.schema = schema
        self.start = start
        """Makes the message with a new command number; `True` for a retry."""
        self.retry = retry
        self.attempt = 1
        self.refused = False
        self.timer: TimerMachine | None = None
        """Waits for the next try."""
        self.last_failure: SubWorkflowFailed | None = None
        self.future: SubWorkflowFuture[Any] = core.sub_workflow_future(self)
        self.machine = self._issue(is_retry=False)
        ctx.hold(self)

    def refuses_cancel(self) -> bool:
        return (
            not self.refused
            and self.timer is None
            and self.core.was_issued_before_cancel(self.machine.number)
            and not self.ctx.is_disconnected
        )

    def refuse_cancel(self) -> None:
        self.refused = True

    def is_disconnected(self) -> bool:
        return self.ctx.is_disconnected

    def _leave(self) -> None:
        self.ctx.drop(self)
        self.future.command = None

    def abandoned(self) -> None:
        self._leave()
        if self.timer is not None:
            self.timer.feed(ABANDON)
        self.machine.feed(ABANDON)

    def context_cancelled(self) -> None:
        """Its context, or the instance, was cancelled: ask it to cancel, and wait for its end."""
        if self.timer is not None:
            self.future.cancel()
        else:
            self.machine.feed(ASK)

    def completed(self, result: bytes) -> None:
        self._leave()
        self.future.set_result(self.schema.decode_result(whole(self.core, result)))

    def ended_cancelled(self) -> None:
        self._leave()
        asyncio.Future.cancel(self.future)

    def failed(self, event: SubWorkflowFailed) -> None:
        delay = None
        if self.retry is not None and not event.refused:
            chance = random.Random(self.core.derived_id(b"retry", self.machine.number)).random
            delay = next_delay(self.retry, self.attempt, event.failure, chance)
        if delay is None or self.ctx.cancelled:
            self.failed_for_good(event)
            return
        self.attempt += 1
        self.last_failure = event
        self.timer = TimerMachine(self.core, self.core.next_command(), self.core.now + max(delay, 1), self._try_again)

    def failed_for_good(self, event: SubWorkflowFailed) -> None:
        self._leave()
        self.future.set_exception(self.core.sub_workflow_error(event))

    def _try_again(self) -> None:
        self.timer = None
        if self.ctx.cancelled and self.last_failure is not None:
            self.failed_for_good(self.last_failure)
        else:
            self.machine = self._issue(is_retry=True)

    def _issue(self, *, is_retry: bool) -> SubWorkflowMachine:
        return SubWorkflowMachine(self, self.start(self.core.next_command(), is_retry))
