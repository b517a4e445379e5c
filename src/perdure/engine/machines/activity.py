"""An activity: scheduled, then completed, failed, or no longer awaited."""

from __future__ import annotations

import asyncio
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
from perdure.model.checkpoint import CancelActivity, NewActivity
from perdure.model.event import ActivityCancelled, ActivityFailed, ActivityScheduled, Command
from perdure.model.options import Cancellation
from perdure.workflows.future import Future
from perdure.workflows.runtime import StoredResult

if TYPE_CHECKING:
    from perdure.engine.checkpoints import CheckpointBuilder
    from perdure.engine.core import Core
    from perdure.serialization.calls import CallReader
    from perdure.workflows.context import Context
    from perdure.workflows.runtime import StoredActivity


class ActivityMachine(Machine):
    """See `table` at the end."""

    __slots__ = ("cancellation", "ctx", "future", "new", "refused", "schema")

    kind = "activity"

    def __init__(
        self, core: Core, ctx: Context, schema: CallReader, new: NewActivity, digest: bytes, cancellation: Cancellation
    ) -> None:
        super().__init__(core, new.number)
        self.ctx = ctx
        self.schema = schema
        self.new = new
        self.cancellation = cancellation
        self.refused = False
        self.future: Future[Any] = core.future(self)
        if cancellation is not Cancellation.WAIT:
            ctx.hold(self)
        core.recorder.issue(
            self,
            ActivityScheduled(
                number=new.number, name=new.name, arguments=new.arguments, digest=digest, queue=new.queue
            ),
        )

    # --- cancelling (workflows.future.Command) --------------------------------------------------------------------

    def refuses_cancel(self) -> bool:
        return (
            not self.refused
            and self.cancellation is not Cancellation.ABANDON
            and self.core.was_issued_before_cancel(self.number)
            and not self.ctx.is_disconnected
        )

    def refuse_cancel(self) -> None:
        self.refused = True

    def is_disconnected(self) -> bool:
        return self.ctx.is_disconnected

    def abandoned(self) -> None:
        self.feed(ABANDON)

    def context_cancelled(self) -> None:
        """A with_cancel above it was called: what runs may finish, unless its worker is to be told."""
        if self.cancellation is Cancellation.REQUEST:
            self.feed(ASK)
        elif self.cancellation is Cancellation.ABANDON:
            self.future.cancel()

    def instance_cancelled(self) -> None:
        if self.cancellation is Cancellation.REQUEST and not self.ctx.is_disconnected:
            self.feed(ASK)

    def is_awaited(self) -> bool:
        """Whether workflow code may still wait for it."""
        return self.state in (RECORDED, ASKED)

    # --- actions --------------------------------------------------------------------------------------------------

    def _leave(self, *_: object) -> None:
        """Nothing more comes of it. The future forgets the machine: no cycle is left to the garbage collector."""
        self.core.machines.pop(self.number, None)
        self.future.command = None
        if self.cancellation is not Cancellation.WAIT:
            self.ctx.drop(self)

    def _record_abandoned(self) -> None:
        told = self.cancellation is Cancellation.REQUEST
        self.core.recorder.follow_up(self, ActivityCancelled(number=self.number, told=told))

    def _record_asked(self) -> None:
        self.core.recorder.follow_up(self, ActivityCancelled(number=self.number, told=True))

    def _resolve(self, result: bytes) -> None:
        self._leave()
        self.future.set_result(self.schema.decode_result(whole(self.core, result)))

    def _fail(self, event: ActivityFailed) -> None:
        self._leave()
        self.future.set_exception(self.core.activity_error(event.failure))

    def _fail_asked(self, event: ActivityFailed) -> None:
        self._leave()
        if event.cancelled:
            asyncio.Future.cancel(self.future)
        else:
            self.future.set_exception(self.core.activity_error(event.failure))

    def let_go(self) -> None:
        give_up(self.future)

    def is_repeated(self, issued: Any, known: Any, *, with_input: bool) -> bool:
        if isinstance(issued, ActivityCancelled):
            return True  # told or not is an option
        return issued.name == known.name and (not with_input or is_same_call(self.core, self.schema, issued, known))

    def contribute(self, event: Command, checkpoint: CheckpointBuilder) -> None:
        if isinstance(event, ActivityScheduled):
            checkpoint.activities[self.number] = self.new
        elif self.state == ASKED:
            checkpoint.cancelled_activities.append(CancelActivity(self.number, told=True))
        elif isinstance(event, ActivityCancelled) and checkpoint.activities.pop(self.number, None) is None:
            checkpoint.cancelled_activities.append(CancelActivity(self.number, told=event.told))

    table: ClassVar[Table] = {
        (ISSUED, RECORD): (RECORDED, None),
        (ISSUED, ABANDON): (DROPPED, _leave),
        (ISSUED, ASK): (ASKED, _record_asked),
        (RECORDED, ABANDON): (ABANDONED, _record_abandoned),
        (RECORDED, ASK): (ASKED, _record_asked),
        (RECORDED, COMPLETED): (DONE, _resolve),
        (RECORDED, FAILED): (DONE, _fail),
        (ASKED, ASK): (ASKED, None),
        (ASKED, ABANDON): (ABANDONED, None),
        (ASKED, COMPLETED): (DONE, _resolve),
        (ASKED, FAILED): (DONE, _fail_asked),
        (ABANDONED, ASK): (ABANDONED, None),
        (ABANDONED, COMPLETED): (DONE, _leave),
        (ABANDONED, FAILED): (DONE, _leave),
        (DONE, ABANDON): (DONE, None),
        (DONE, ASK): (DONE, None),
    }


class _AsStored:
    """Of calls that are passed on as they are stored, as their results are."""

    def is_same_call(self, recorded: bytes, issued: bytes) -> bool:
        return recorded == issued

    def decode_result(self, payload: bytes) -> StoredResult:
        return StoredResult(payload)


_AS_STORED = _AsStored()


def stored_activity(core: Core, ctx: Context, activity: StoredActivity) -> ActivityMachine:
    """Issue an activity on the instance's queue, with its priority."""
    new = NewActivity(
        number=core.next_command(),
        name=activity.name,
        arguments=activity.arguments,
        queue=core.task.queue,
        priority=core.task.priority,
        retry=activity.retry,
        timeout=activity.timeout,
        total_timeout=activity.total_timeout,
        queue_timeout=activity.queue_timeout,
        heartbeat_timeout=activity.heartbeat_timeout,
        headers=core.headers_now(),
    )
    return ActivityMachine(core, ctx, _AS_STORED, new, activity.digest, activity.cancellation)
