"""An activity's result, applied in memory and committed with what it leads to: and what may come between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.model.event import ActivityCompleted, SignalReceived
from perdure.model.transition import Checkpointed, Claimed, CompleteWorkflowTask, Rejected, Transition
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import Watched, as_backend, until

more = Signal("more", int)
doubled: list[int] = []

pytestmark = pytest.mark.needs_cache


@activity
async def double(x: int) -> int:
    doubled.append(x)
    return 2 * x


@workflow
async def doubles(ctx: Context, x: int) -> int:
    return await ctx.execute_activity(double, x)


@workflow
async def doubles_and_adds(ctx: Context, x: int) -> int:
    product = await ctx.execute_activity(double, x)
    return product + await ctx.signal_channel(more).receive()


app = App(workflows=[doubles, doubles_and_adds], activities=[double])


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    doubled.clear()


class Held:
    """Holds the first commit of a fused result until it is let go."""

    def __init__(self, watched: Watched) -> None:
        self.transition: Transition[Any] | None = None
        self._go_on = asyncio.Event()
        watched.hold = self._hold

    def let_go(self) -> None:
        self._go_on.set()

    def _hold(self, transition: Transition[Any]) -> Awaitable[None] | None:
        if self.transition is None and isinstance(transition, CompleteWorkflowTask) and transition.fused:
            self.transition = transition
            return self._wait()
        return None

    async def _wait(self) -> None:
        await self._go_on.wait()


@pytest.fixture
def held(watched: Watched) -> Held:
    return Held(watched)


async def test_b2_an_event_that_comes_meanwhile_is_the_next_task_and_comes_back_with_the_commit(
    watched: Watched, held: Held
) -> None:
    """E1: a fused result goes ahead of what wasn't read yet."""
    async with Orchestrator(as_backend(watched), app) as perdure, Client(as_backend(watched), app) as other:
        handle = await perdure.start(doubles_and_adds, 4)
        await until(lambda: held.transition)
        await other.signal(handle.instance_id, more, 3)
        held.let_go()
        assert await handle.result() == 11
        events = [type(each.event) async for each in handle.history()]
    assert events.index(ActivityCompleted) < events.index(SignalReceived)
    handed_back = [each for each in watched.outcomes if isinstance(each, Checkpointed) and each.workflow_task]
    claimed = [each for each in watched.outcomes if isinstance(each, Claimed) and each.workflow_tasks]
    assert len(handed_back) + len(claimed) == 1
    assert doubled == [4]


async def test_k2_a_lease_that_is_lost_meanwhile_rejects_the_whole_and_the_activity_runs_again(
    watched: Watched, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await perdure.start(doubles, 4)
        await until(lambda: held.transition)
        lives = perdure.worker._lives
        assert lives is not None
        lost = lives.serving
        assert lost is not None
        with caplog.at_level(logging.CRITICAL):
            lost._lost("a test says so")
        await until(lambda: lives.serving not in (None, lost))
        held.let_go()
        assert await handle.result(timeout=20) == 8
        events = [type(each.event) async for each in handle.history()]
    assert any(isinstance(each, Rejected) for each in watched.outcomes)
    assert events.count(ActivityCompleted) == 1
    assert doubled == [4, 4]


async def test_k3_a_worker_that_stops_meanwhile_waits_for_the_commit_and_repeats_nothing(
    watched: Watched, held: Held
) -> None:
    async with Client(as_backend(watched), app) as client:
        async with Worker(as_backend(watched), app) as worker:
            handle = await client.start(doubles_and_adds, 4)
            await until(lambda: held.transition)
            stopping = asyncio.create_task(worker.stop())
            await asyncio.sleep(0.05)
            assert not stopping.done()
            held.let_go()
            await stopping
        async with Worker(as_backend(watched), app):
            await handle.signal(more, 1)
            assert await handle.result() == 9
    assert doubled == [4]


async def test_e1_results_that_end_in_one_turn_share_a_commit(watched: Watched) -> None:
    """One checkpoint for all of them, each applied by itself."""

    @workflow
    async def many(ctx: Context) -> list[int]:
        return await asyncio.gather(*(ctx.execute_activity(double, x) for x in range(20)))

    async with Orchestrator(as_backend(watched), App(workflows=[many], activities=[double])) as perdure:
        assert await perdure.run(many) == [2 * x for x in range(20)]
    fused = [each for each in watched.of_kind(CompleteWorkflowTask) if each.fused]
    assert sum(len(each.fused) for each in fused) == 20
    assert len(fused) <= 2
