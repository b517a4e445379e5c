"""Schedules on every store: made, changed, looked at and deleted by a client, kept by a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.client.schedules import ScheduleHandle
from perdure.errors import ArgumentsError, ConfigurationError, InstanceNotFound, RegistrationError, ScheduleNotFound
from perdure.model.instance import State
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.scheduling import ScheduleStatus
from perdure.workflows.signal import Signal

HOUR = timedelta(hours=1)


@workflow
async def report(ctx: Context, region: str, pages: int = 1) -> str:
    assert ctx.info.due_at is not None
    return f"{region} {pages} {ctx.info.due_at:%H:%M}"


go_on = Signal("go on")


@workflow
async def patient(ctx: Context) -> str:
    await ctx.signal_channel(go_on).receive()
    return "done"


@workflow
async def unknown(ctx: Context) -> None: ...


app = App(workflows=[report, patient])


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Client]:
    async with Orchestrator(store_url, app) as client:
        yield client


def due_soon(**options: object) -> Schedule:
    """One that is due in a moment, and then not for an hour."""
    return Schedule("reports", every=HOUR, start_at=datetime.now(UTC) + timedelta(seconds=0.2), **options)  # type: ignore[arg-type]


async def until(schedule: ScheduleHandle, *, started: int) -> ScheduleStatus:
    while True:
        status = await schedule.status()
        if status.started >= started:
            return status
        await _a_moment()


async def _a_moment() -> None:
    await asyncio.sleep(0.02)


async def test_a_due_time_starts_the_workflow_with_its_arguments(client: Client) -> None:
    schedule = await client.schedule(due_soon(), report.with_options(tags={"team": "sales"}), "north", pages=2)
    status = await until(schedule, started=1)
    [run] = status.recent
    assert run.instance_id == f"reports@{run.due_at.isoformat().replace('+00:00', 'Z')}"
    assert await client.result(run.instance_id) == f"north 2 {run.due_at:%H:%M}"
    info = await client.info(run.instance_id)
    assert info.tags == {"team": "sales"}
    assert info.parent is not None
    assert info.parent.instance_id == "schedule:reports"
    assert status.next_due_at == run.due_at + HOUR


async def test_runs_follow_each_other(client: Client) -> None:
    schedule = await client.schedule(Schedule("reports", every=timedelta(seconds=1), overlap="allow"), report, "north")
    status = await until(schedule, started=2)
    assert all(later.due_at - run.due_at == timedelta(seconds=1) for later, run in pairwise(status.recent))


async def test_the_same_again_changes_nothing_and_another_plan_takes_its_place(client: Client) -> None:
    schedule = await client.schedule(Schedule("reports", every=HOUR), report, "north")
    await client.schedule(Schedule("reports", every=HOUR), report, "north")
    await client.schedule(due_soon(), report, "south")
    status = await until(schedule, started=1)
    assert str(await client.result(status.recent[0].instance_id)).startswith("south")
    assert await client.count(workflow="perdure:schedule") == {State.RUNNING: 1}


async def test_pause_resume_and_trigger(client: Client) -> None:
    schedule = await client.schedule(Schedule("reports", every=HOUR), report, "north")
    await schedule.pause()
    run = await schedule.trigger()
    assert str(await run.result()).startswith("north 1 ")
    while not (await schedule.status()).is_paused:
        await _a_moment()
    await schedule.resume()
    while (await schedule.status()).is_paused:
        await _a_moment()


async def test_schedules_are_listed_until_they_are_deleted(client: Client) -> None:
    first = await client.schedule(Schedule("one", every=HOUR), report, "north")
    await client.schedule(Schedule("two", cron="@daily", timezone="Europe/Berlin"), report, "south")
    assert [status.schedule.id async for status in client.schedules.list()] == ["two", "one"]
    await first.delete()
    assert [status.schedule.id async for status in client.schedules.list()] == ["two"]
    with pytest.raises(ScheduleNotFound, match="there is no schedule 'one' in this store"):
        await first.status()
    with pytest.raises(InstanceNotFound):
        await first.trigger()
    with pytest.raises(ScheduleNotFound):
        await first.delete()
    again = await client.schedule(due_soon(), report, "north")
    await until(again, started=1)


async def test_what_a_deleted_schedule_has_started_goes_on(client: Client) -> None:
    schedule = await client.schedule(Schedule("reports", every=timedelta(seconds=1)), patient)
    [run, *_] = (await until(schedule, started=1)).recent
    await schedule.delete()
    await client.signal(run.instance_id, go_on)
    assert await client.result(run.instance_id) == "done"


async def test_what_is_wrong_is_refused_before_anything_is_stored(client: Client) -> None:
    with pytest.raises(ArgumentsError):
        await client.schedule(due_soon(), report, 7)  # type: ignore[arg-type]
    with pytest.raises(RegistrationError):
        await client.schedule(due_soon(), unknown)
    with pytest.raises(ConfigurationError, match="instance_id, start_delay can't be given for runs of a schedule"):
        await client.schedule(due_soon(), report.with_options(instance_id="x", start_delay=1), "north")
    assert [status async for status in client.schedules.list()] == []


async def test_a_schedule_that_no_worker_has_seen_shows_what_was_asked_for(store_url: str) -> None:
    async with Client(store_url, app) as client:
        schedule = await client.schedule(due_soon(overlap="queue"), report, "north")
        status = await schedule.status()
    assert (status.schedule.overlap, status.workflow, status.started) == ("queue", "report", 0)
    assert status.next_due_at is None


async def test_w12_a_schedule_belongs_to_no_version_of_the_code(store_url: str) -> None:
    """Else it would stop without a word when the last worker for the version that made it is gone."""
    old = App(workflows=[report, patient], version="1")
    new = App(workflows=[report, patient], version="2")
    async with Client(store_url, old) as client:
        await client.schedule(Schedule("reports", every=HOUR), report, "north")

    async with Orchestrator(store_url, new, versions=["2"]) as client:
        schedule = await client.schedule(due_soon(), report, "south")
        status = await until(schedule, started=1)
        run = status.recent[0].instance_id
        assert str(await client.result(run)).startswith("south")
        assert (await client.info(run)).version == "2"
