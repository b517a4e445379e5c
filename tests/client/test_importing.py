"""A saved history as an instance of a store, on every store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.client.importing import STANDS_STILL, import_history
from perdure.errors import InstanceAlreadyExists, InstanceNotFound, NonDeterminismError
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from perdure.replay.replayer import Replayer
from perdure.serialization.saved import SavedHistory
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests import stores

word = Signal("word", str)


class Steps:
    """Activities that count their executions."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()
        self.may_end = asyncio.Event()

    @activity
    async def quick(self, name: str) -> str:
        self.executed[name] += 1
        return name.upper()

    @activity
    async def slow(self, name: str) -> str:
        self.executed[name] += 1
        await self.may_end.wait()
        return name.upper()


@workflow
async def order(ctx: Context) -> list[str]:
    """What it knows of itself is part of its history."""
    first = await ctx.execute_activity(Steps.quick, f"{ctx.info.instance_id} {ctx.uuid4()}")
    ctx.publish("stage", "packed")
    timer = ctx.schedule_timer(timedelta(milliseconds=1))
    second = await ctx.execute_activity(Steps.slow, "slow")
    await timer
    return [first.partition(" ")[0], second, await ctx.signal_channel(word).receive(), ctx.info.instance_id]


@workflow(name="order")
async def changed(ctx: Context) -> None:
    await ctx.sleep(1)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def app(steps: Steps) -> App:
    return App(workflows=[order], activities=[steps])


@pytest.fixture(params=stores.as_parameters(stores.ALL))
def url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    return empty_store(request.param)


@pytest.fixture
async def perdure(url: str, app: App) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(url, app) as orchestrator:
        yield orchestrator


async def ended(perdure: Orchestrator, steps: Steps) -> SavedHistory:
    steps.may_end.set()
    handle = await perdure.start(order.with_options(instance_id="first", start_signal=word("tea")))
    await handle.result()
    return await perdure.export_history("first")


async def running(perdure: Orchestrator, steps: Steps) -> SavedHistory:
    """Its slow step is under way; the instance is removed then, as if this were another store."""
    handle = await perdure.start(order.with_options(instance_id="first"))
    while not steps.executed["slow"]:
        await asyncio.sleep(0.01)
    saved = await perdure.export_history("first")
    await handle.terminate()
    await handle.remove()
    steps.may_end.set()
    steps.executed.clear()
    return saved


class TestOneThatHasEnded:
    async def test_it_is_there_again_to_the_byte(self, perdure: Orchestrator, steps: Steps) -> None:
        saved = await ended(perdure, steps)
        before = await perdure.info("first")
        await perdure.remove("first")

        state = await import_history(perdure, saved)

        after = await perdure.info("first")
        assert state is State.COMPLETED
        assert await perdure.result("first") == ["FIRST", "SLOW", "tea", "first"]
        assert await perdure.export_history("first") == saved
        assert (after.execution_id, after.created_at) == (before.execution_id, before.created_at)
        await perdure.remove("first")
        with pytest.raises(InstanceNotFound):
            await perdure.info("first")

    async def test_under_another_id_it_is_replayed_and_forked_as_well(
        self, perdure: Orchestrator, steps: Steps, app: App
    ) -> None:
        saved = await ended(perdure, steps)
        await import_history(perdure, saved, new_id="again")

        again = await perdure.export_history("again")
        fork = await perdure.fork("again", at_event=2, new_id="fork")

        assert Replayer(app).replay(again) is None
        assert again.execution_id != saved.execution_id
        assert await fork.result(timeout=20) == ["FIRST", "SLOW", "tea", "fork"]

    async def test_a_taken_id_is_refused(self, perdure: Orchestrator, steps: Steps) -> None:
        saved = await ended(perdure, steps)

        with pytest.raises(InstanceAlreadyExists, match="in this store already"):
            await import_history(perdure, saved)


class TestOneThatWasRunning:
    async def test_it_stands_still_until_it_is_terminated(self, perdure: Orchestrator, steps: Steps) -> None:
        saved = await running(perdure, steps)

        assert await import_history(perdure, saved) is State.RUNNING

        instance = await perdure.info("first")
        assert instance.suspended
        assert instance.stuck is not None
        assert (instance.stuck.reason, instance.stuck.retry_at) == (STANDS_STILL, None)
        assert instance.due_at is None
        assert not await perdure.activities("first")
        await perdure.terminate("first")
        await perdure.remove("first")
        assert not steps.executed

    async def test_it_is_replayed(self, perdure: Orchestrator, steps: Steps, app: App) -> None:
        saved = await running(perdure, steps)
        await import_history(perdure, saved, new_id="again")

        assert Replayer(app).replay(await perdure.export_history("again")) is None

    async def test_it_runs_on_with_the_code_if_that_is_asked_for(self, perdure: Orchestrator, steps: Steps) -> None:
        saved = await running(perdure, steps)

        assert await import_history(perdure, saved, runs_on=True) is State.RUNNING

        await perdure.signal("first", word, "tea")
        assert await perdure.result("first", order, timeout=20) == ["FIRST", "SLOW", "tea", "first"]
        assert steps.executed == {"slow": 1}, "what had ended isn't done again"
        assert await perdure.read("first", "stage") == "packed"

    async def test_code_that_does_not_repeat_it_is_refused(self, perdure: Orchestrator, steps: Steps, url: str) -> None:
        saved = await running(perdure, steps)

        async with Client(perdure.backend, App(workflows=[changed])) as client:
            with pytest.raises(NonDeterminismError):
                await import_history(client, saved, runs_on=True)
        with pytest.raises(InstanceNotFound):
            await perdure.info("first")
