"""How long instances are kept: said by workflow, start or App, recorded with the instance, carried out by workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.errors import ConfigurationError, InstanceNotFound
from perdure.model.inspection import Ended, InstanceFilter, Pruned
from perdure.model.options import Retention
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow

DAY = timedelta(days=1)


@workflow
async def plain(ctx: Context) -> None: ...


@workflow(retention=Retention(completed=3 * DAY, failed=9 * DAY))
async def fickle(ctx: Context, fails: bool) -> None:
    if fails:
        raise ValueError("as asked for")


@workflow
async def parent(ctx: Context) -> None:
    await ctx.execute_sub_workflow(fickle.with_options(instance_id="child of its own mind"), False)
    await ctx.execute_sub_workflow(plain.with_options(instance_id="child"))
    await ctx.execute_sub_workflow(plain.with_options(instance_id="kept child", retention=Retention()))


app = App(workflows=[plain, fickle, parent], retention=30 * DAY)


@pytest.fixture
async def perdure() -> AsyncIterator[Orchestrator]:
    async with Orchestrator("sqlite:///:memory:", app) as perdure:
        yield perdure


async def kept(perdure: Client, instance_id: str) -> timedelta | None:
    """For how long, after its end."""
    await perdure.wait(instance_id)
    info = await perdure.info(instance_id)
    assert info.ended_at is not None
    return None if info.remove_at is None else info.remove_at - info.ended_at


@pytest.mark.parametrize(
    ("started", "wanted"),
    [
        pytest.param(plain, 30 * DAY, id="as the App says"),
        pytest.param(plain.with_options(retention=60), timedelta(minutes=1), id="as the start says"),
        pytest.param(plain.with_options(retention=Retention()), None, id="for ever, as the start says"),
        pytest.param(plain.with_options(retention=Retention(failed=DAY)), None, id="by an end that it didn't have"),
    ],
)
async def test_the_nearest_word_holds(
    perdure: Orchestrator, started: Workflow[[], None], wanted: timedelta | None
) -> None:
    handle = await perdure.start(started)
    assert await kept(perdure, handle.instance_id) == wanted


@pytest.mark.parametrize(("fails", "wanted"), [(False, 3 * DAY), (True, 9 * DAY)])
async def test_each_end_has_its_own(perdure: Orchestrator, fails: bool, wanted: timedelta) -> None:
    handle = await perdure.start(fickle, fails)
    assert await kept(perdure, handle.instance_id) == wanted


async def test_sub_workflows_have_their_own(perdure: Orchestrator) -> None:
    handle = await perdure.start(parent)
    assert await kept(perdure, handle.instance_id) == 30 * DAY
    assert await kept(perdure, "child of its own mind") == 3 * DAY
    assert await kept(perdure, "child") == 30 * DAY
    assert await kept(perdure, "kept child") is None


async def test_runs_of_a_schedule_have_theirs_and_the_schedule_has_none(perdure: Orchestrator) -> None:
    yearly = Schedule("yearly", every=timedelta(days=365))
    schedule = await perdure.schedule(yearly, plain.with_options(retention=DAY))
    run = await schedule.trigger()
    assert await kept(perdure, run.instance_id) == DAY
    keeper = await anext(perdure.list(workflow="perdure:schedule"))
    await perdure.terminate(keeper.instance_id)
    assert await kept(perdure, keeper.instance_id) is None


async def test_nothing_is_said_in_an_app_of_today() -> None:
    async with Orchestrator("memory://", App(workflows=[plain])) as perdure:
        handle = await perdure.start(plain)
        assert await kept(perdure, handle.instance_id) is None


def test_an_instance_cannot_go_before_its_end() -> None:
    with pytest.raises(ConfigurationError, match="before its end"):
        plain.with_options(retention=Retention(completed=-DAY))
    with pytest.raises(ConfigurationError, match="before its end"):
        App(retention=-1)


async def test_a_worker_removes_what_was_kept_for_long_enough(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every store, while a worker works there that serves neither the workflow nor its queue."""
    monkeypatch.setattr("perdure.worker.clearing._SECONDS_BETWEEN", 0.05)
    stranger = App(workflows=[plain])
    async with Orchestrator(store_url, app) as perdure:
        expired = [await perdure.start(fickle.with_options(retention=0.0), False) for _ in range(3)]
        handle = await perdure.start(fickle, False)
        await handle.wait()
        async with asyncio.timeout(20):
            await asyncio.gather(*(gone(each) for each in expired))
        assert await kept(perdure, handle.instance_id) == 3 * DAY
        last = await perdure.start(fickle.with_options(retention=1.0), False)
        await last.wait()
    async with Orchestrator(store_url, stranger, queues=["another"]) as other, asyncio.timeout(20):
        await gone(other.handle(last.instance_id))


async def gone(handle: Handle[None]) -> None:
    while True:
        try:
            await handle.state()
        except InstanceNotFound:
            return
        await asyncio.sleep(0.02)


async def test_pruning_tells_how_far_it_is_and_lets_others_in_between() -> None:
    """Each step is as short as the last one said, and rests in between."""
    told: list[int] = []
    async with Orchestrator("sqlite:///:memory:", app) as perdure:
        for _ in range(250):
            await perdure.start(plain)
        async for instance in perdure.list():
            await perdure.wait(instance.instance_id)
        assert await perdure.prune(progress=told.append) == 250
    assert told == [100, 200, 250]


async def test_several_prune_at_once_and_each_instance_counts_once(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        handles = [await perdure.start(plain) for _ in range(60)]
        await asyncio.gather(*(handle.wait() for handle in handles))
        async with Client(store_url) as other:
            removed = await asyncio.gather(*(each.prune(limit=40) for each in (perdure, other)))
        assert sum(removed) + await perdure.prune() == 60
        assert await perdure.backend.prune(InstanceFilter(), after=Ended(0, 0)) == Pruned(removed=0)
