"""Schedules: what they start, and when they did and will."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import msgspec

from perdure.client.schedules import KEEPER_PREFIX
from perdure.clock import duration_micros, to_datetime, to_micros
from perdure.diagnostics.look import Look
from perdure.model.schedule import Schedule, due_after
from perdure.workflows.scheduling import ScheduleStatus


class RunOfSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that a schedule has started."""

    instance_id: str
    due_at: datetime
    started_at: datetime
    state: str
    """As the schedule knows it: `started` where it doesn't wait for its runs."""


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule."""

    schedule_id: str
    keeper_id: str
    """The instance that keeps it."""
    workflow: str
    when: str
    """In words: `30 2 * * * in Europe/Berlin`, `every 1:30:00`."""
    overlap: str
    start_at: datetime | None
    end_at: datetime | None
    is_paused: bool
    next_due_at: datetime | None
    upcoming: tuple[datetime, ...]
    """The next few times, `next_due_at` first, as they are if nothing changes."""
    recent: tuple[RunOfSchedule, ...]
    """Newest first, ten at most."""
    waiting: int
    """Runs that wait for their turn."""
    started: int
    skipped: int
    """Left out since an earlier run was still going on."""
    missed: int
    """Left out since nobody was there in time."""


class SchedulesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules, newest first."""

    schedules: tuple[ScheduleRow, ...]
    has_more: bool
    now: datetime


_UPCOMING = 5


async def read_schedules(look: Look, *, limit: int = 200) -> SchedulesPage:
    """Those that aren't over."""
    rows: list[ScheduleRow] = []
    has_more = False
    async for status in look.client.schedules.list():
        has_more = len(rows) == limit
        if has_more:
            break
        rows.append(_row(status))
    return SchedulesPage(schedules=tuple(rows), has_more=has_more, now=await look.now())


async def read_schedule(look: Look, schedule_id: str) -> ScheduleRow:
    """One. Raises ScheduleNotFound."""
    return _row(await look.client.schedules.handle(schedule_id).status())


def _row(status: ScheduleStatus) -> ScheduleRow:
    schedule = status.schedule
    return ScheduleRow(
        schedule_id=schedule.id,
        keeper_id=f"{KEEPER_PREFIX}{schedule.id}",
        workflow=status.workflow,
        when=_when(schedule),
        overlap=schedule.overlap.value,
        start_at=schedule.start_at,
        end_at=schedule.end_at,
        is_paused=status.is_paused,
        next_due_at=status.next_due_at,
        upcoming=_upcoming(schedule, status.next_due_at),
        recent=tuple(
            RunOfSchedule(instance_id=run.instance_id, due_at=run.due_at, started_at=run.started_at, state=run.state)
            for run in status.recent
        ),
        waiting=status.waiting,
        started=status.started,
        skipped=status.skipped,
        missed=status.missed,
    )


def _when(schedule: Schedule) -> str:
    if schedule.every is not None:
        return f"every {schedule.every}"
    return f"{schedule.cron} in {schedule.timezone}"


def _upcoming(schedule: Schedule, next_due_at: datetime | None) -> tuple[datetime, ...]:
    if next_due_at is None:
        return ()
    due = to_micros(next_due_at)
    anchor = due - duration_micros(schedule.every or 0)
    return tuple(to_datetime(at) for at in islice(due_after(schedule, anchor, due - 1), _UPCOMING))
