"""Going back: a fork beside an instance, a rewind in its place, on every store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.errors import (
    ConfigurationError,
    InstanceAlreadyExists,
    InstanceNotFinished,
    InstanceNotFound,
    NonDeterminismError,
    WorkflowFailed,
)
from perdure.model.event import Event
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests import stores

word = Signal("word", str)


class Steps:
    """Activities that count their executions; what is `broken` fails."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()
        self.broken: set[str] = set()

    @activity(retry=NO_RETRY)
    async def step(self, name: str) -> str:
        self.executed[name] += 1
        if name in self.broken:
            raise ValueError(f"{name} is broken")
        return name.upper()

    @activity(retry=RetryPolicy(max_attempts=2, initial_interval=0))
    async def patient(self, name: str) -> str:
        self.executed[name] += 1
        if self.executed[name] % 2:
            raise ValueError("once more")
        return name


@workflow
async def three_steps(ctx: Context) -> list[str]:
    """What it knows of itself is part of its history."""
    await ctx.execute_activity(Steps.step, f"{ctx.info.instance_id} {ctx.info.execution_id}")
    first = await ctx.execute_activity(Steps.step, f"one {ctx.uuid4()}")
    second = await ctx.execute_activity(Steps.step, "two")
    return [first[:3], second, await ctx.execute_activity(Steps.step, "three"), ctx.info.instance_id, str(ctx.uuid4())]


@workflow
async def signalled(ctx: Context) -> str:
    got = await ctx.signal_channel(word).receive()
    return await ctx.execute_activity(Steps.step, got)


@workflow
async def side_by_side(ctx: Context) -> list[str]:
    patient = ctx.execute_activity(Steps.patient, "patient")
    timer = ctx.schedule_timer(timedelta(milliseconds=1))
    quick = await ctx.execute_activity(Steps.step, "quick")
    await timer
    last = await ctx.execute_activity(Steps.step, "last")
    return [quick, await patient, last]


@workflow
async def child(ctx: Context) -> str:
    return await ctx.execute_activity(Steps.step, "child")


@workflow
async def parent(ctx: Context) -> str:
    ctx.publish("stage", "before")
    result = await ctx.execute_sub_workflow(child)
    ctx.publish("stage", "after")
    return f"{result} {await ctx.execute_activity(Steps.step, 'parent')}"


@workflow
async def failing_at_once(ctx: Context) -> str:
    raise ValueError("no")


WORKFLOWS = [three_steps, signalled, side_by_side, child, parent, failing_at_once]


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture(params=stores.as_parameters(stores.ALL))
def url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    return empty_store(request.param)


@pytest.fixture
async def perdure(url: str, steps: Steps) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(url, App(workflows=WORKFLOWS, activities=[steps])) as orchestrator:
        yield orchestrator


async def events_of(client: Client, instance_id: str) -> list[Event]:
    return [each.event async for each in client.history(instance_id)]


class TestFork:
    async def test_it_goes_on_from_an_event_beside_the_first_one(self, perdure: Orchestrator, steps: Steps) -> None:
        first = await perdure.start(three_steps.with_options(instance_id="first", tags={"team": "red"}))
        before = await first.result()
        history = await events_of(perdure, "first")

        fork = await first.fork(at_event=5, new_id="fork")  # between the second and the third step

        after = await fork.result(timeout=20)
        assert after[:4] == ["ONE", "TWO", "THREE", "fork"]
        assert (steps.executed["two"], steps.executed["three"]) == (2, 2)
        assert sum(count for name, count in steps.executed.items() if name.startswith(("one", "first"))) == 2
        assert before[4] != after[4], "chance is its own from there on"
        assert await events_of(perdure, "first") == history
        assert (await perdure.info("fork")).tags == {"team": "red"}

    async def test_it_can_be_replayed_and_forked_again(self, url: str, steps: Steps) -> None:
        app = App(workflows=WORKFLOWS, activities=[steps])
        async with Orchestrator(url, app, cache_size=0) as perdure:
            first = await perdure.start(three_steps.with_options(instance_id="first"))
            await first.result()

            fork = await first.fork(at_event=5, new_id="fork")
            await fork.result(timeout=20)
            for at_event in (3, 7):  # once before, once after the place where it left the first one
                again = await fork.fork(at_event=at_event)
                assert (await again.result(timeout=20))[3] == again.instance_id

    async def test_activities_that_had_not_ended_begin_again_with_their_options_and_timers_stay(
        self, perdure: Orchestrator, steps: Steps
    ) -> None:
        first = await perdure.start(side_by_side.with_options(instance_id="first"))
        assert await first.result() == ["QUICK", "patient", "LAST"]

        fork = await first.fork(at_event=0)

        assert await fork.result(timeout=20) == ["QUICK", "patient", "LAST"]
        assert steps.executed["patient"] == 4

    async def test_an_open_sub_workflow_belongs_to_the_first_one(self, perdure: Orchestrator) -> None:
        first = await perdure.start(parent)
        await first.result()

        with pytest.raises(ConfigurationError, match="still there"):
            await first.fork(at_event=1)

    async def test_what_is_published_later_is_not_there_yet(self, perdure: Orchestrator, steps: Steps) -> None:
        first = await perdure.start(parent)
        await first.result()
        steps.broken.add("parent")

        fork = await first.fork(at_event=2)

        assert await fork.wait(timeout=20) == "failed"
        assert await fork.read("stage") == "after"

    async def test_what_cannot_be_is_refused(self, perdure: Orchestrator) -> None:
        first = await perdure.start(three_steps.with_options(instance_id="first"))
        await first.result()
        last = len(await events_of(perdure, "first")) - 1

        with pytest.raises(ConfigurationError, match=f"at_event takes 0 to {last}"):
            await first.fork(at_event=last + 1)
        with pytest.raises(ConfigurationError, match="led to its end"):
            await first.fork(at_event=last - 1)
        with pytest.raises(InstanceAlreadyExists):
            await first.fork(at_event=1, new_id="first")
        with pytest.raises(InstanceNotFound):
            await perdure.fork("nobody", at_event=1)

    async def test_code_that_does_not_repeat_the_beginning_is_refused(self, perdure: Orchestrator, url: str) -> None:
        @workflow(name="three_steps")
        async def other(ctx: Context) -> list[str]:
            return []

        first = await perdure.start(three_steps.with_options(instance_id="first"))
        await first.result()
        async with Client(perdure.backend, App(workflows=[other])) as client:
            with pytest.raises(NonDeterminismError):
                await client.fork("first", at_event=1)

    async def test_a_client_without_the_code_says_what_it_needs(self, perdure: Orchestrator) -> None:
        first = await perdure.start(three_steps.with_options(instance_id="first"))
        await first.result()
        async with Client(perdure.backend) as client:
            with pytest.raises(ConfigurationError, match="needs the code"):
                await client.fork("first", at_event=1)


class TestRewind:
    async def failed(self, perdure: Orchestrator, definition: Any, **options: Any) -> str:
        handle = await perdure.start(definition.with_options(instance_id="failed", **options))
        with pytest.raises(WorkflowFailed):
            await handle.result(timeout=20)
        return "failed"

    async def test_the_step_that_failed_is_done_again_and_no_other(self, perdure: Orchestrator, steps: Steps) -> None:
        steps.broken.add("three")
        name = await self.failed(perdure, three_steps)
        steps.broken.clear()

        await perdure.rewind(name)

        assert (await perdure.result(name, timeout=20))[:4] == ["ONE", "TWO", "THREE", "failed"]
        assert (steps.executed["two"], steps.executed["three"]) == (1, 2)

    async def test_it_goes_back_to_an_event(self, perdure: Orchestrator, steps: Steps) -> None:
        steps.broken.add("three")
        name = await self.failed(perdure, three_steps)
        steps.broken.clear()

        await perdure.handle(name).rewind(at_event=4)

        await perdure.result(name, timeout=20)
        assert (steps.executed["two"], steps.executed["three"]) == (2, 2)

    async def test_it_can_fail_and_be_rewound_again(self, perdure: Orchestrator, steps: Steps) -> None:
        steps.broken.add("three")
        name = await self.failed(perdure, three_steps)
        for _ in range(3):
            await perdure.rewind(name)
            assert await perdure.wait(name, timeout=20) == "failed"
        steps.broken.clear()

        await perdure.rewind(name)

        assert (await perdure.result(name, timeout=20))[2] == "THREE"
        assert steps.executed["three"] == 5

    async def test_signals_that_came_later_are_sent_again(self, perdure: Orchestrator, steps: Steps) -> None:
        steps.broken.add("go")
        handle = await perdure.start(signalled.with_options(instance_id="failed"))
        while not await events_of(perdure, "failed"):
            await asyncio.sleep(0.01)
        await handle.signal(word, "go")
        assert await handle.wait(timeout=20) == "failed"
        steps.broken.clear()

        await handle.rewind(at_event=0)

        assert await handle.result(timeout=20) == "GO"

    async def test_a_sub_workflow_that_failed_begins_again(self, perdure: Orchestrator, steps: Steps) -> None:
        steps.broken.add("child")
        name = await self.failed(perdure, parent)
        steps.broken.clear()

        await perdure.rewind(name)

        assert await perdure.result(name, timeout=20) == "CHILD PARENT"
        assert steps.executed["child"] == 2

    async def test_one_that_failed_at_its_first_step_begins_anew(self, perdure: Orchestrator) -> None:
        name = await self.failed(perdure, failing_at_once)

        await perdure.rewind(name)

        assert await perdure.wait(name, timeout=20) == "failed"

    async def test_a_terminated_one_goes_on_where_it_was(self, perdure: Orchestrator) -> None:
        handle = await perdure.start(signalled.with_options(instance_id="ended"))
        while not await events_of(perdure, "ended"):
            await asyncio.sleep(0.01)
        await handle.terminate("by mistake")

        await handle.rewind()

        await handle.signal(word, "go")
        assert await handle.result(timeout=20) == "GO"
        assert "Terminated" not in [type(event).__name__ for event in await events_of(perdure, "ended")]

    async def test_one_that_was_suspended_before_its_first_step_goes_on(self, url: str, steps: Steps) -> None:
        app = App(workflows=WORKFLOWS, activities=[steps])
        async with Client(url, app) as client:
            handle = await client.start(child.with_options(instance_id="ended"))
            await handle.suspend()
            await handle.resume()
            steps.broken.add("child")
            async with Worker(url, app):
                assert await handle.wait(timeout=20) == "failed"
                steps.broken.clear()
                await handle.rewind()
                assert await handle.result(timeout=20) == "CHILD"

    async def test_one_that_never_began_is_started_anew_instead(self, url: str, steps: Steps) -> None:
        async with Client(url, App(workflows=WORKFLOWS, activities=[steps])) as client:
            handle = await client.start(child)
            await handle.terminate()

            with pytest.raises(ConfigurationError, match="never began"):
                await handle.rewind()

    async def test_one_that_runs_or_has_a_result_stays(self, perdure: Orchestrator) -> None:
        running = await perdure.start(signalled)
        done = await perdure.start(three_steps)
        await done.result()

        with pytest.raises(InstanceNotFinished, match="terminate it first, or fork it"):
            await running.rewind()
        with pytest.raises(ConfigurationError, match="fork it instead"):
            await done.rewind()


async def test_what_is_begun_again_goes_after_as_long_as_its_workflow_says(store_url: str) -> None:
    steps, kept_for = Steps(), timedelta(days=3)
    app = App(workflows=[signalled], activities=[steps], retention=kept_for)
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(signalled.with_options(start_signal=word("a")))
        await handle.result()

        fork = await handle.fork(at_event=0)
        await fork.result()

        info = await fork.info()
        assert info.ended_at is not None
        assert info.remove_at == info.ended_at + kept_for
