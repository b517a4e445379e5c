"""Schedules, with what they did and will do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.schedules import read_schedule, read_schedules
from perdure.errors import ScheduleNotFound
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import pick
from tests.worker.support import until_async


async def test_a_new_one_tells_when_it_is_due(perdure: Orchestrator, look: Look) -> None:
    await perdure.schedule(Schedule("nightly", cron="30 2 * * *", timezone="Europe/Berlin"), pick, "red")

    async def is_looked_at() -> bool:
        return (await read_schedule(look, "nightly")).next_due_at is not None

    await until_async(is_looked_at)

    row = await read_schedule(look, "nightly")
    assert (row.workflow, row.when, row.overlap) == ("pick", "30 2 * * * in Europe/Berlin", "skip")
    assert row.upcoming[0] == row.next_due_at
    assert len(row.upcoming) == 5
    assert {(at.minute, at.hour) for at in row.upcoming} <= {(30, 0), (30, 1)}
    assert row.keeper_id == "schedule:nightly"
    assert (await perdure.info(row.keeper_id)).workflow == "perdure:schedule"


@pytest.mark.parametrize("start_at", [None, datetime(2100, 1, 1, tzinfo=UTC)])
async def test_an_interval_goes_on_from_the_next_time(
    perdure: Orchestrator, look: Look, start_at: datetime | None
) -> None:
    schedule = Schedule("often", every=timedelta(hours=2), start_at=start_at)
    await perdure.schedule(schedule, pick, "red")

    async def is_looked_at() -> bool:
        return (await read_schedule(look, "often")).next_due_at is not None

    await until_async(is_looked_at)

    row = await read_schedule(look, "often")
    assert row.when == "every 2:00:00"
    assert row.upcoming[0] == row.next_due_at
    assert {later - earlier for earlier, later in zip(row.upcoming, row.upcoming[1:], strict=False)} == {
        timedelta(hours=2)
    }


async def test_runs_that_were_are_listed(perdure: Orchestrator, look: Look) -> None:
    begin = (await look.now()) + timedelta(milliseconds=200)
    await perdure.schedule(Schedule("once", every=timedelta(days=1), start_at=begin), pick, "red")

    async def has_run() -> bool:
        return any(run.state == "completed" for run in (await read_schedule(look, "once")).recent)

    await until_async(has_run)

    (run,) = (await read_schedule(look, "once")).recent
    assert run.due_at == begin
    assert await perdure.result(run.instance_id) == "RED"


async def test_all_are_listed_newest_first_up_to_a_limit(perdure: Orchestrator, look: Look) -> None:
    for name in ("a", "b", "c"):
        await perdure.schedule(Schedule(name, every=timedelta(days=1)), pick, "red")
    await perdure.schedules.handle("a").pause()

    async def is_paused() -> bool:
        return (await read_schedule(look, "a")).is_paused

    await until_async(is_paused)

    page = await read_schedules(look)
    part = await read_schedules(look, limit=2)

    assert [(row.schedule_id, row.is_paused) for row in page.schedules] == [("c", False), ("b", False), ("a", True)]
    assert not page.has_more
    assert page.schedules[2].upcoming == ()
    assert (len(part.schedules), part.has_more) == (2, True)


async def test_nobody_is_not_found(look: Look) -> None:
    with pytest.raises(ScheduleNotFound):
        await read_schedule(look, "nobody")
