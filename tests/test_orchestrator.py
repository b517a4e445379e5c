from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.errors import (
    ConfigurationError,
    InstanceAlreadyExists,
    StoreSealed,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator, WorkerSettings
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.select import on_receive, otherwise, select
from perdure.workflows.signal import Signal
from tests.client.shop import Approval, Order, Receipt, anything, app, approval, checkout, ship

ORDER = Order("7", 100)


@pytest.fixture
async def orchestrator(store_url: str) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(store_url, app) as orchestrator:
        yield orchestrator


async def test_c1_it_runs_what_it_starts(orchestrator: Orchestrator) -> None:
    assert await orchestrator.run(ship, "abc") == 3
    assert await orchestrator.run(anything, {"a": [1, None]}) == {"a": [1, None]}


async def test_c1_start_with_a_signal(orchestrator: Orchestrator) -> None:
    handle = await orchestrator.start(checkout.with_options(start_signal=approval(Approval("me"))), ORDER)

    assert await handle.result(timeout=10) == Receipt("7")


async def test_c1_signal_and_result(orchestrator: Orchestrator) -> None:
    handle = await orchestrator.start(checkout.with_options(instance_id="one"), ORDER)
    await orchestrator.signal("one", approval, Approval("me"))

    assert await handle.result(timeout=10) == Receipt("7")
    assert await handle.state() is State.COMPLETED


async def test_c1_cancel(orchestrator: Orchestrator) -> None:
    handle = await orchestrator.start(checkout, ORDER)
    await handle.cancel()

    with pytest.raises(WorkflowCancelled):
        await handle.result(timeout=10)


async def test_c1_suspend_holds_and_resume_lets_go(orchestrator: Orchestrator) -> None:
    handle = await orchestrator.start(checkout, ORDER)
    await handle.suspend()
    await handle.signal(approval, Approval("me"))

    with pytest.raises(TimeoutError):
        await handle.result(timeout=0.1)
    await handle.resume()

    assert await handle.result(timeout=10) == Receipt("7")


async def test_a3_a_workflow_past_its_deadline_has_failed(orchestrator: Orchestrator) -> None:
    with pytest.raises(WorkflowFailed):
        await orchestrator.run(checkout.with_options(timeout=0.05), ORDER)


async def test_c3_terminate_ends_a_waiter(orchestrator: Orchestrator) -> None:
    handle = await orchestrator.start(checkout, ORDER)
    waiting = asyncio.create_task(handle.result())
    await handle.terminate("by mistake")

    with pytest.raises(WorkflowTerminated, match="by mistake"):
        async with asyncio.timeout(10):
            await waiting


async def test_b8_of_many_creates_of_one_id_one_succeeds(orchestrator: Orchestrator) -> None:
    starts = [orchestrator.start(ship.with_options(instance_id="one"), str(number)) for number in range(20)]

    outcomes = await asyncio.gather(*starts, return_exceptions=True)

    assert sum(isinstance(outcome, Handle) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, InstanceAlreadyExists) for outcome in outcomes) == 19


def _goes_on_by_itself(task: asyncio.Task[Any]) -> bool:
    """A worker's, or a store's that looks for what it may have missed."""
    coroutine: Any = task.get_coro()
    waits_for_slot = coroutine.__qualname__ == "Event.wait"
    is_workers = "/perdure/worker/" in coroutine.cr_code.co_filename
    return is_workers or waits_for_slot or coroutine.__name__ == "_read_again"


async def test_a_cancelled_waiter_leaves_nothing_behind(orchestrator: Orchestrator) -> None:
    handle = await orchestrator.start(checkout, ORDER)
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(handle.result())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not [task for task in asyncio.all_tasks() - before if not _goes_on_by_itself(task)]
    assert await handle.state() is State.RUNNING


async def test_what_isnt_finished_goes_on_in_the_next_one(shared_store_url: str) -> None:
    async with Orchestrator(shared_store_url, app) as first:
        await first.start(checkout.with_options(instance_id="one"), ORDER)

    async with Orchestrator(shared_store_url, app) as second:
        await second.signal("one", approval, Approval("me"))

        assert await second.result("one", workflow=checkout) == Receipt("7")


async def test_one_that_isnt_open_says_so() -> None:
    orchestrator = Orchestrator("memory://", app)

    with pytest.raises(ConfigurationError, match="isn't open"):
        await orchestrator.run(ship, "a")
    with pytest.raises(ConfigurationError, match="isn't open"):
        await orchestrator.wait("a")


async def test_a_worker_that_fails_fails_those_who_wait_for_it() -> None:
    backend = MemoryBackend()

    async def wait_for_it() -> None:
        async with Orchestrator(backend, app) as orchestrator:
            handle = await orchestrator.start(checkout, ORDER)
            waiting = asyncio.create_task(handle.result())
            await asyncio.sleep(0)
            await backend.seal("sqlite:///elsewhere.db")
            with pytest.raises(StoreSealed):
                await waiting

    with pytest.raises(StoreSealed):
        async with asyncio.timeout(20):
            await wait_for_it()


async def test_options_of_the_worker_are_passed_on() -> None:
    async with Orchestrator("memory://", app, queues=["eu"], name="mine") as orchestrator:
        [worker] = (await orchestrator.stats()).workers

    assert (worker.worker, worker.workflow_queues) == ("mine", ("eu",))
    assert orchestrator.worker.options.name == "mine"


async def test_a_wrong_option_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ConfigurationError, match="max_activities"):
        Orchestrator("memory://", app, max_activities=0)


def test_it_takes_every_option_of_the_worker() -> None:
    options = set(inspect.signature(Worker).parameters) - {"store", "app", "clock"}

    assert options == set(WorkerSettings.__annotations__)


def test_it_is_a_client() -> None:
    assert issubclass(Orchestrator, Client)


async def test_c1_the_signal_of_a_start_is_there_at_the_first_step(store_url: str) -> None:
    """C1: a workflow that only looks, without waiting, finds it."""
    word = Signal("word", str)

    @workflow
    async def looks(ctx: Context) -> str:
        found: str = await select(on_receive(ctx.signal_channel(word), str.upper), otherwise(lambda: "nothing"))
        return found

    async with Orchestrator(store_url, App(workflows=[looks])) as perdure:
        assert await perdure.run(looks.with_options(start_signal=word("here"))) == "HERE"


async def test_what_the_first_step_is_told_of_its_start_is_what_replay_is_told(store_url: str) -> None:
    """W2: the first step runs ahead of the store."""

    async def echo(text: str) -> str:
        return text

    @workflow
    async def tells(ctx: Context) -> str:
        return await ctx.execute_activity(echo, f"{ctx.info.created_at} {ctx.info.deadline_at}")

    async with Orchestrator(store_url, App(workflows=[tells], activities=[echo]), cache_size=0) as perdure:
        handle = await perdure.start(tells.with_options(timeout=timedelta(hours=1)))
        told = await handle.result(timeout=20)
        info = await handle.info()

    assert told == f"{info.created_at} {info.deadline_at}"
