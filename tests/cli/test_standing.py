"""`stats`: a store at a glance."""

from __future__ import annotations

import asyncio
import json

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.errors import NonDeterminismError
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.cli.conftest import Call, Serve
from tests.cli.orders import waiting


@pytest.fixture(autouse=True)
def store(call: Call) -> None:
    call("migrate")
    call("start", "waiting", "--id", "waits", "--queue", "mail")
    call("start", "waiting", "--id", "held")
    call("suspend", "held")


def test_it_counts_instances_queues_and_workers(call: Call, serve: Serve) -> None:
    serve()

    stats = json.loads(call("stats", "--json").stdout)

    assert stats["instances"] == {"running": 2}
    assert (stats["suspended"], stats["stuck"]) == (1, 0)
    assert [(each["queue"], each["status"]["workflow_tasks"]) for each in stats["queues"]] == [("mail", 1)]
    assert [each["is_alive"] for each in stats["workers"]] == [True]


def test_it_is_told_in_words(call: Call) -> None:
    lines = call("stats").stdout.splitlines()

    assert lines[1:3] == ["running             2", "running, suspended  1"]
    assert lines[-1] == "No worker is running: `perdure worker MODULE:APP` is one."


def test_stuck_ones_are_shown_with_their_reason(call: Call, url: str) -> None:
    asyncio.run(_get_stuck(url))

    stats = json.loads(call("stats", "--json").stdout)

    assert stats["stuck"] == 1
    assert stats["stuck_instances"][0]["instance_id"] == "stuck"
    assert NonDeterminismError.__name__ in stats["stuck_instances"][0]["reason"]
    assert "Stuck (`perdure show ID` says more" in call("stats").stdout
    assert "Note: it is stuck" in call("result", "stuck", "--timeout", "0s").stderr


async def _get_stuck(url: str) -> None:
    """Code that asks for something else than its history says."""

    @workflow(name="waiting")
    async def changed(ctx: Context) -> None:
        await ctx.sleep(1)

    async with Orchestrator(url, App(workflows=[waiting])) as perdure:
        await perdure.start(waiting.with_options(instance_id="stuck"))
        while (await perdure.info("stuck")).history_length < 1:
            await asyncio.sleep(0.01)
    async with Orchestrator(url, App(workflows=[changed])), Client(url) as client:
        await client.signal("stuck", Signal("other"))
        while (await client.info("stuck")).stuck is None:
            await asyncio.sleep(0.01)
