"""The workflow behind a schedule: it waits until a run is due, starts it, and minds that runs don't overlap.

A schedule is an instance like any other: who has its lease keeps it, its history survives whatever happens, and an instance can be
created once; so each due time starts one run, however many workers there are, on every store. Histories of it are in users'
stores: what changes here must replay them (`ctx.patched`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.clock import Micros, duration_micros, to_datetime, to_micros
from perdure.errors import FailureError
from perdure.model.options import ParentClose, WorkflowOptions
from perdure.model.schedule import Overlap, Schedule, due_after
from perdure.workflows.definition import workflow
from perdure.workflows.runtime import StoredCall
from perdure.workflows.select import AwaitCase, ReceiveCase, on_receive, on_result, select
from perdure.workflows.signal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.workflows.context import Context
    from perdure.workflows.future import SubWorkflowFuture

WORKFLOW = "perdure:schedule"
STATUS, PLAN = "status", "plan"
"""Under these keys the workflow publishes a ScheduleStatus and its Plan."""

_MOST = 1000
"""So many due times are looked at in a row, and so many wait for their turn."""
_RECENT = 10
_LONGEST_HISTORY = 1000


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is started, and with which options."""

    call: StoredCall
    queue: str
    priority: int
    timeout: Micros | None
    tags: dict[str, str]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that the user said."""

    schedule: Schedule
    target: Target


class ScheduledRun(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that a schedule has started."""

    instance_id: str
    due_at: datetime
    started_at: datetime
    state: str
    """"running", then "completed", "failed" or "cancelled"; with `overlap="allow"` "started", for the schedule doesn't wait for it."""


class ScheduleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a schedule stands."""

    schedule: Schedule
    workflow: str
    is_paused: bool
    next_due_at: datetime | None
    """None if it is paused, or never due again. While a run goes on that others may not overlap, the time after now isn't looked up."""
    recent: tuple[ScheduledRun, ...]
    """The last ten runs, the newest first."""
    waiting: int
    """Runs that wait for their turn."""
    started: int
    skipped: int
    """Left out since an earlier run was still going on."""
    missed: int
    """Left out since nobody was there within `catch_up`; counted up to a thousand a time."""


class SetPlan(msgspec.Struct, frozen=True, tag="plan"):
    plan: Plan


class SetPaused(msgspec.Struct, frozen=True, tag="paused"):
    paused: bool


Change = SetPlan | SetPaused
CHANGE: Signal[Change] = Signal("perdure:schedule", Change)


class Standing(msgspec.Struct, kw_only=True):
    """What goes on to the next execution."""

    anchor: Micros
    """When the schedule was made."""
    looked_at: Micros
    """All that was due up to then is settled."""
    paused: bool = False
    waiting: list[Micros] = []
    recent: list[ScheduledRun] = []
    started: int = 0
    skipped: int = 0
    missed: int = 0


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What the calendar says."""

    due: list[Micros]
    missed: int
    until: Micros
    """All that is due up to then is among them."""
    next_due: Micros | None


@workflow(name=WORKFLOW)
async def keep_schedule(ctx: Context, plan: Plan, standing: Standing | None = None) -> None:
    """Runs until the schedule is deleted, or never due again."""
    if standing is None:
        made_at = to_micros(ctx.info.created_at)
        standing = Standing(anchor=made_at, looked_at=made_at)
    await _Keeper(ctx, plan, standing).keep()


class _Keeper:
    def __init__(self, ctx: Context, plan: Plan, standing: Standing) -> None:
        self._ctx = ctx
        self._plan = plan
        self._standing = standing
        self._next_due: Micros | None = None
        self._is_all_looked_at = True
        self._run: asyncio.Task[None] | None = None
        """Follows the run that others may not overlap."""
        self._cancel_run: Callable[[], None] | None = None
        self._has_run_ended = False
        """Just now: what has come due since the last look did so while it went on."""

    async def keep(self) -> None:
        ctx, standing = self._ctx, self._standing
        ctx.publish(PLAN, self._plan)
        while True:
            await self._look()
            self._begin()
            self._publish()
            if not self._is_all_looked_at:
                continue
            if self._run is None:
                if self._next_due is None and not standing.paused:
                    return
                if ctx.info.history_length > _LONGEST_HISTORY:
                    ctx.continue_as_new(keep_schedule, self._plan, standing)
            await self._wait()

    async def _look(self) -> None:
        """What has come due since the last look, and when something will."""
        standing, schedule = self._standing, self._plan.schedule
        # The next execution may begin on a machine whose clock is behind.
        now = max(to_micros(self._ctx.now()), standing.looked_at)
        self._is_all_looked_at = True
        if standing.paused:
            standing.looked_at, self._next_due = now, None
            return
        room = _MOST - len(standing.waiting) if schedule.overlap is Overlap.QUEUE else _MOST
        if room == 0:
            self._next_due = now
            return
        # Recorded: time zones change, and so may the library that reads cron lines.
        look = await self._ctx.side_effect(_look, schedule, standing.anchor, standing.looked_at, now, room)
        standing.looked_at = look.until
        standing.missed += look.missed
        self._next_due = look.next_due
        is_full = schedule.overlap is Overlap.QUEUE and len(look.due) == room
        self._is_all_looked_at = look.until >= now or is_full
        self._take(look.due)
        self._has_run_ended = False

    def _take(self, due: list[Micros]) -> None:
        standing, overlap = self._standing, self._plan.schedule.overlap
        if not due:
            return
        if overlap in (Overlap.QUEUE, Overlap.ALLOW):
            standing.waiting += due
        elif overlap is Overlap.SKIP and (self._run is not None or self._has_run_ended):
            standing.skipped += len(due)
        else:
            standing.skipped += len(standing.waiting) + len(due) - 1
            standing.waiting = due[-1:]

    def _begin(self) -> None:
        """Start what may start now."""
        standing, overlap = self._standing, self._plan.schedule.overlap
        if overlap is Overlap.ALLOW:
            for due in standing.waiting:
                run = self._start(self._ctx.disconnected(), run_id(self._plan.schedule, due), due, "started")
                run.add_done_callback(_forget)
            standing.waiting = []
        elif not standing.waiting or not self._is_all_looked_at:
            return
        elif self._run is None:
            due = standing.waiting.pop(0)
            instance_id = run_id(self._plan.schedule, due)
            # What becomes of the schedule is nothing to its runs: hence the disconnected contexts.
            ctx, self._cancel_run = self._ctx.disconnected().with_cancel()
            run = self._start(ctx, instance_id, due, "running")
            self._run = asyncio.create_task(self._follow(instance_id, run))
        elif overlap is Overlap.CANCEL and self._cancel_run is not None:
            self._cancel_run()
            self._cancel_run = None

    def _start(self, ctx: Context, instance_id: str, due: Micros, state: str) -> SubWorkflowFuture[None]:
        standing, target = self._standing, self._plan.target
        options = WorkflowOptions(
            instance_id=instance_id,
            queue=target.queue,
            priority=target.priority,
            timeout=None if target.timeout is None else target.timeout / 1_000_000,
            tags=target.tags,
            parent_close=ParentClose.ABANDON,
        )
        standing.started += 1
        run = ScheduledRun(instance_id=instance_id, due_at=to_datetime(due), started_at=self._ctx.now(), state=state)
        standing.recent = [run, *standing.recent[: _RECENT - 1]]
        return ctx.execute_stored(msgspec.structs.replace(target.call, due_at=due), options)

    async def _follow(self, instance_id: str, run: SubWorkflowFuture[None]) -> None:
        try:
            await run
        except FailureError:
            self._note(instance_id, "failed")
        except asyncio.CancelledError:
            self._note(instance_id, "cancelled")
        else:
            self._note(instance_id, "completed")
        self._run = self._cancel_run = None
        self._has_run_ended = True

    def _note(self, instance_id: str, state: str) -> None:
        self._standing.recent = [
            msgspec.structs.replace(run, state=state) if run.instance_id == instance_id else run
            for run in self._standing.recent
        ]

    async def _wait(self) -> None:
        """Until something is due, the run has ended, or the schedule is to change."""
        ctx, overlap = self._ctx, self._plan.schedule.overlap
        cases: list[AwaitCase[Any] | ReceiveCase[Any]] = [on_receive(ctx.signal_channel(CHANGE), self._change)]
        timer = None
        if self._run is not None:
            cases.append(on_result(self._run))
        if self._next_due is not None and (self._run is None or overlap is Overlap.CANCEL):
            timer = ctx.schedule_timer((self._next_due - to_micros(ctx.now())) / 1_000_000)
            cases.append(on_result(timer))
        try:
            await select(*cases)
        finally:
            if timer is not None:
                timer.cancel()

    def _change(self, change: Change) -> None:
        standing = self._standing
        match change:
            case SetPlan(plan):
                self._plan = plan
                self._ctx.publish(PLAN, plan)
            case SetPaused(paused):
                if standing.paused and not paused:
                    standing.looked_at = to_micros(self._ctx.now())  # what was due meanwhile isn't caught up on
                standing.paused = paused

    def _publish(self) -> None:
        self._ctx.publish(STATUS, status_of(self._plan, self._standing, self._next_due))


def status_of(plan: Plan, standing: Standing, next_due: Micros | None) -> ScheduleStatus:
    """What users are shown."""
    return ScheduleStatus(
        schedule=plan.schedule,
        workflow=plan.target.call.workflow,
        is_paused=standing.paused,
        next_due_at=None if next_due is None else to_datetime(next_due),
        recent=tuple(standing.recent),
        waiting=len(standing.waiting),
        started=standing.started,
        skipped=standing.skipped,
        missed=standing.missed,
    )


def _look(schedule: Schedule, anchor: Micros, looked_at: Micros, now: Micros, most: int) -> Look:
    too_old = now - duration_micros(schedule.catch_up)
    missed, due, until, next_due = 0, list[Micros](), now, None
    for found in due_after(schedule, anchor, looked_at):
        if found > now:
            next_due = found
            break
        if found >= too_old:
            due.append(found)
        else:
            missed += 1
        if missed == _MOST:
            until = too_old - 1
            break
        if len(due) == most:
            until = found
            break
    return Look(due=due, missed=missed, until=until, next_due=next_due)


def _forget(run: asyncio.Future[None]) -> None:
    if not run.cancelled():
        run.exception()  # else asyncio would say that nobody has looked at it


def run_id(schedule: Schedule, due: Micros) -> str:
    return f"{schedule.id}@{to_datetime(due).isoformat().removesuffix('+00:00')}Z"
