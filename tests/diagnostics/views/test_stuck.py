"""Stuck instances, and what is said about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.diagnostics.look import Look
from perdure.diagnostics.views.history import read_history
from perdure.diagnostics.views.instances import read_counts, read_instances
from perdure.diagnostics.views.run import read_run
from perdure.diagnostics.views.timeline import BarKind, read_timeline
from perdure.diagnostics.views.where import read_where
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.diagnostics.views.programs import app, damage, go, shout, until_quiet, waiting
from tests.worker.support import until_async


@workflow(name="waiting")
async def changed(ctx: Context) -> str:
    await ctx.execute_activity(shout, "hello")
    return await ctx.signal_channel(go).receive()


@pytest.fixture
async def stuck_id(store_url: str) -> AsyncIterator[str]:
    """An instance whose code was changed under it."""
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(waiting)
        await until_quiet(perdure, handle.instance_id, 1)
    async with Client(store_url) as client, Worker(client.backend, App(workflows=[changed], activities=[shout])):
        await client.signal(handle.instance_id, go, "!")

        async def is_stuck() -> bool:
            return (await client.info(handle.instance_id)).stuck is not None

        await until_async(is_stuck)
        yield handle.instance_id


async def test_it_stands_out_with_its_reason_and_the_way_out(store_url: str, stuck_id: str) -> None:
    async with Client(store_url, app) as client:
        look = Look(client, app)
        (row,) = (await read_instances(look)).instances
        counts = await read_counts(look)
        where = await read_where(look, stuck_id)
        timeline = await read_timeline(look, stuck_id)

    assert row.standing == "stuck"
    assert row.stuck is not None
    assert row.stuck.cause == "its code doesn't repeat its history"
    assert "the code did: activity 1: shout" in row.stuck.reason
    assert "ctx.patched" in row.stuck.what_to_do
    assert row.stuck.retry_at is not None
    assert counts.stuck == 1
    assert where.summary.startswith("It is stuck and is tried again at ")
    assert timeline.bars[-1].kind is BarKind.STUCK
    assert timeline.bars[-1].end is None


async def test_the_code_that_differs_is_told_by_a_replay(store_url: str, stuck_id: str) -> None:
    today = App(workflows=[changed], activities=[shout])
    async with Client(store_url, today) as client:
        where = await read_where(Look(client, today), stuck_id)

    assert where.code == "differs"
    assert "the code did: activity 1: shout" in where.problem


async def test_what_is_left_of_a_damaged_history_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    async with Orchestrator(f"sqlite:///{file}", app) as perdure:
        handle = await perdure.start(waiting)
        await until_quiet(perdure, handle.instance_id, 1)
    damage(file)

    async with Client(f"sqlite:///{file}", app) as client:
        look = Look(client, app)
        run = await read_run(look, handle.instance_id)
        timeline = await read_timeline(look, handle.instance_id)
        history = await read_history(look, handle.instance_id)
        where = await read_where(look, handle.instance_id)

    assert (run.facts.history_length, run.input) == (1, None)
    assert (timeline.bars, history.events, history.next_after) == ((), (), None)
    assert where.code == "failed"
    for problem in (run.problem, timeline.problem, history.problem, where.problem):
        assert "can't be read" in problem
