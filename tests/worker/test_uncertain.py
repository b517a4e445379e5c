"""When a store doesn't answer: a worker takes a new key if something may be leased to it of which it doesn't know, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import StoreError, StoreUnavailable
from perdure.model.transition import (
    AppendEvent,
    Claimed,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    CreateInstance,
    Transition,
)
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import Watched, as_backend, until

go_on = Signal("go on", int)


@activity
async def double(x: int) -> int:
    return 2 * x


@workflow
async def confirmed(ctx: Context) -> int:
    return await ctx.execute_activity(double, await ctx.signal_channel(go_on).receive())


class Job:
    """An activity that runs until it is let go."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.free = asyncio.Event()

    @activity
    async def work(self) -> str:
        self.said.append("begun")
        await self.free.wait()
        self.said.append("done")
        return "worked"


@workflow
async def delegate(ctx: Context) -> str:
    return await ctx.execute_activity(Job.work)


@workflow
async def quick(ctx: Context, x: int) -> int:
    return await ctx.execute_activity(double.with_options(queue="default"), x)


def once(kind: type[Any], problem: StoreError) -> Callable[[Transition[Any]], StoreError | None]:
    """The first transition of the kind that may lease something fails with this."""
    failed: list[object] = []

    def fail(transition: Transition[Any]) -> StoreError | None:
        if failed or not isinstance(transition, kind):
            return None
        if not (isinstance(transition, ClaimTasks | CreateInstance) or transition.offer is not None):
            return None
        failed.append(transition)
        return problem

    return fail


@pytest.fixture(autouse=True)
def claims_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.worker.poller.LONGEST_WAIT_SECONDS", 0.02)


def takes_a_new_key(caplog: pytest.LogCaptureFixture) -> bool:
    return any("goes on under a new key" in each.message for each in caplog.records)


async def claims_answered(watched: Watched, count: int) -> None:
    answered = len(watched.outcomes)
    await until(lambda: sum(isinstance(each, Claimed) for each in watched.outcomes[answered:]) >= count)


# --- when nothing was written


@pytest.mark.needs_cache
@pytest.mark.parametrize("is_unwritten", [True, False])
@pytest.mark.parametrize("kind", [ClaimTasks, CreateInstance, AppendEvent, CompleteWorkflowTask])
async def test_a_worker_keeps_its_key_if_surely_nothing_was_written(
    watched: Watched, caplog: pytest.LogCaptureFixture, kind: type[Any], is_unwritten: bool
) -> None:
    watched.fail = once(kind, StoreUnavailable("no answer", is_unwritten=is_unwritten))

    async with Orchestrator(as_backend(watched), App(workflows=[confirmed], activities=[double])) as perdure:
        handle = await perdure.start(confirmed)
        await handle.signal(go_on, 3)
        assert await handle.result() == 6
        await claims_answered(watched, 2)

    assert takes_a_new_key(caplog) is not is_unwritten


@pytest.mark.parametrize("is_unwritten", [True, False])
async def test_the_end_of_an_activity_is_recorded_under_the_same_key(
    watched: Watched, caplog: pytest.LogCaptureFixture, is_unwritten: bool
) -> None:
    watched.fail = once(CompleteActivityTask, StoreUnavailable("no answer", is_unwritten=is_unwritten))
    app, backend = App(workflows=[confirmed], activities=[double]), as_backend(watched)

    async with Client(backend, app) as client, Worker(backend, app, cache_size=0):
        handle = await client.start(confirmed)
        await handle.signal(go_on, 3)
        assert await handle.result() == 6
        await claims_answered(watched, 2)

    assert takes_a_new_key(caplog) is not is_unwritten


async def test_what_runs_goes_on_through_an_outage_in_which_nothing_was_written(watched: Watched) -> None:
    job = Job()
    app, backend = App(workflows=[delegate], activities=[job]), as_backend(watched)
    is_away = False
    watched.fail = lambda _: StoreUnavailable("refused", is_unwritten=True) if is_away else None

    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(delegate)
        await until(lambda: job.said == ["begun"])
        is_away = True
        job.free.set()
        asked = len(watched.committed)
        await until(lambda: len(watched.committed) > asked + 3)
        is_away = False
        assert await handle.result() == "worked"

    assert job.said == ["begun", "done"]
    assert watched.starts == 1


# --- when something may be leased


class HalfLost(Watched):
    """The answer of a claim of two tasks has one, and says that there may be more."""

    async def commit(self, transition: Transition[Any]) -> Any:
        outcome = await super().commit(transition)
        if self.starts == 1 and isinstance(outcome, Claimed) and len(outcome.workflow_tasks) == 2:
            return msgspec.structs.replace(outcome, workflow_tasks=outcome.workflow_tasks[:1], is_uncertain=True)
        return outcome


async def test_a_part_of_a_claim_that_got_lost_is_done_all_the_same() -> None:
    watched = HalfLost(MemoryBackend())
    app, backend = App(workflows=[quick], activities=[double]), as_backend(watched)

    async with Client(backend, app) as client:
        handles = [await client.start(quick, number) for number in (1, 2)]
        async with Worker(backend, app):
            assert [await handle.result() for handle in handles] == [2, 4]

    assert watched.starts == 2


@pytest.mark.parametrize("is_activity", [False, True])
async def test_what_a_lost_claim_has_leased_is_done_while_an_activity_runs_on(
    watched: Watched, is_activity: bool
) -> None:
    """The old key is alive for as long as that takes: nothing but the store can give back what it may hold."""
    job = Job()
    app, backend = App(workflows=[delegate, quick], activities=[job, double]), as_backend(watched)
    lost: list[Claimed] = []

    def lose_a_claim(_: Transition[Any]) -> StoreError | None:
        outcome = watched.outcomes[-1]
        if lost or not job.said or not isinstance(outcome, Claimed):
            return None
        if not (outcome.activity_tasks if is_activity else outcome.workflow_tasks):
            return None
        lost.append(outcome)
        return StoreUnavailable("the answer was lost")

    watched.lose_answer = lose_a_claim
    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(delegate)
        await until(lambda: job.said == ["begun"])
        async with Worker(backend, app, workflow_queues=["elsewhere"], activity_queues=()):
            # An activity comes by a claim where its workflow is another worker's.
            assert await client.run(quick.with_options(queue="elsewhere" if is_activity else "default"), 4) == 8
        assert job.said == ["begun"]
        job.free.set()
        assert await handle.result() == "worked"

    assert len(lost) == 1
    assert job.said == ["begun", "done"]
    assert [len(kept) for kept in watched.retired] == [1]
    assert await backend.list_workers() == []


async def test_an_end_that_is_being_recorded_is_not_begun_again(watched: Watched) -> None:
    job, may_record = Job(), asyncio.Event()
    app, backend = App(workflows=[delegate], activities=[job]), as_backend(watched)
    watched.hold = lambda each: may_record.wait() if isinstance(each, CompleteActivityTask) else None  # type: ignore[assignment, return-value]

    async with Client(backend, app) as client, Worker(backend, app, cache_size=0):
        handle = await client.start(delegate)
        await until(lambda: job.said == ["begun"])
        job.free.set()
        await until(lambda: watched.of_kind(CompleteActivityTask))
        watched.lose_answer = once(ClaimTasks, StoreUnavailable("the answer was lost"))
        await until(lambda: watched.retired)
        await claims_answered(watched, 2)
        may_record.set()
        assert await handle.result() == "worked"

    assert job.said == ["begun", "done"]
