"""Queries end to end: whoever has the execution answers, or one who could."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.engine.limits import Limits
from perdure.errors import ConfigurationError, HandlerNotFound, InstanceNotFound, NotAnswered, QueryFailed
from perdure.model.transition import ClaimTasks, CompleteWorkflowTask
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.worker.asked import Account, NoCover, app, bank, go_on, rounds
from tests.worker.support import Watched, as_backend, until_async


@pytest.fixture
async def client(store: Backend) -> AsyncIterator[Client]:
    """It has no code of workflows: all answers are a worker's."""
    async with Client(store) as client:
        yield client


async def opened(client: Client, cents: int = 5) -> Handle[int]:
    handle = await client.start(bank)
    assert await handle.update(Account.pay, cents) == cents
    return handle


async def evicted(handle: Handle[Any]) -> None:
    """Until no worker has the execution."""

    async def is_free() -> bool:
        return (await handle.info()).worker is None

    await until_async(is_free)


@pytest.mark.needs_cache
async def test_the_worker_that_has_the_execution_answers(store: Backend, client: Client) -> None:
    async with Worker(store, app), Worker(store, app):
        handle = await opened(client)
        before = [each.event async for each in handle.history()]
        assert await handle.query(Account.balance) == 5
        assert await handle.query(Account.balance, in_euros=True) == 0.05
        assert await handle.query("balance") == 5
        assert [each.event async for each in handle.history()] == before


async def test_who_isnt_in_memory_is_read_from_history(store: Backend, client: Client) -> None:
    async with Worker(store, app, cache_size=0):
        handle = await opened(client)
        await evicted(handle)
        length = (await handle.info()).history_length
        assert await handle.query(Account.balance) == 5
        assert (await handle.info()).history_length == length
        assert (await handle.info()).worker is None


async def test_who_has_ended_can_be_asked(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await opened(client)
        await handle.update(Account.close)
        assert await handle.result() == 5
        assert await handle.query(Account.balance) == 5
        terminated = await opened(client, 7)
        await terminated.terminate()
        assert await terminated.query(Account.balance) == 7


async def test_the_suspended_and_the_stuck_can_be_asked(store: Backend, client: Client) -> None:
    async with Worker(store, app, limits=Limits(history_events=5)):
        handle = await opened(client)
        await handle.suspend()
        assert await handle.query(Account.balance) == 5
        await handle.resume()
        stuck = await opened(client)
        await client.signal(stuck.instance_id, go_on, 1)
        await until_async(lambda: _is_stuck(stuck))
        assert await stuck.query(Account.balance) == 5


async def _is_stuck(handle: Handle[Any]) -> bool:
    return (await handle.info()).stuck is not None


async def test_continue_as_new_is_followed(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(rounds)
        assert await handle.query("done") == 0
        await handle.update("add", 1)
        await until_async(lambda: _is_at(handle, 1))


async def _is_at(handle: Handle[Any], done: int) -> bool:
    return bool(await handle.query("done") == done)


async def test_a_query_can_be_faster_than_the_first_step(store: Backend, client: Client) -> None:
    handle = await client.start(bank)
    asking = asyncio.create_task(handle.query(Account.balance))
    await asyncio.sleep(0.05)
    async with Worker(store, app):
        assert await asking == 0


async def test_an_unknown_query_names_the_known_ones(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(bank)
        with pytest.raises(HandlerNotFound, match=r"query 'balanec' has no handler .* has balance, fail") as found:
            await handle.query("balanec")
        assert found.value.known == ("balance", "fail")


async def test_what_a_handler_raises_is_the_cause(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(bank)
        with pytest.raises(QueryFailed, match=r"query 'fail' of instance .* raised NoCover: nothing here") as found:
            await handle.query(Account.fail)
        assert isinstance(found.value.__cause__, NoCover)
        assert await handle.query(Account.balance) == 0


async def test_nobody_to_answer_is_told_with_the_queue_and_its_workers(store: Backend, client: Client) -> None:
    handle = (await client.start(bank.with_options(queue="eu"))).with_options(timeout=0.1)
    with pytest.raises(NotAnswered, match=r"queue 'eu'.* wasn't answered in 0.1 s; no live worker serves") as found:
        await handle.query(Account.balance)
    assert (found.value.queue, found.value.workers) == ("eu", ())
    async with Worker(store, App(workflows=[rounds]), queues=("eu",), name="other"):
        with pytest.raises(NotAnswered, match="live workers of that queue: other") as found:
            await handle.query(Account.balance)
        assert found.value.workers == ("other",)


async def test_nobodys_instance_isnt_found(client: Client) -> None:
    with pytest.raises(InstanceNotFound):
        await client.handle("nobody", bank).query(Account.balance)


async def test_a_history_that_doesnt_fit_todays_code_is_told(store: Backend, client: Client) -> None:
    @workflow(name="bank")
    async def another(ctx: Context) -> None:
        await ctx.sleep(1)

    async with Worker(store, app):
        handle = await opened(client)
    async with Worker(store, App(workflows=[another])):
        with pytest.raises(QueryFailed, match="doesn't lead to its state with today's code: NonDeterminismError"):
            await handle.query(Account.balance)


async def test_one_objects_method_is_no_name(memory: MemoryBackend) -> None:
    async with Client(memory) as client:
        account = Account(cast("Context", None))
        with pytest.raises(ConfigurationError, match="name the method by its class"):
            await client.handle("1").query(cast("Any", account.balance))


@pytest.mark.needs_cache
async def test_an_execution_in_memory_is_asked_without_the_store(watched: Watched) -> None:
    """In the worker's own process."""
    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await opened(perdure)
        watched.asked.clear()
        assert await handle.query(Account.balance) == 5
        assert watched.asked == []
        async with Client(as_backend(watched)) as client:
            assert await client.handle(handle.instance_id, bank).query(Account.balance) == 5
        assert watched.asked == [handle.instance_id]


@pytest.mark.needs_cache
async def test_an_execution_that_has_gone_on_elsewhere_isnt_asked(memory: MemoryBackend, watched: Watched) -> None:
    """An operator takes it from a worker, which isn't told, and another one goes on with it for a while."""

    def hold(transition: object) -> Any:
        return asyncio.Event().wait() if isinstance(transition, ClaimTasks) else None

    async with Client(memory) as client, Orchestrator(as_backend(watched), app) as orchestrator:
        handle = await opened(client)
        watched.hold = hold
        await handle.suspend()
        async with Worker(memory, app):
            await handle.resume()
            await handle.update(Account.pay, 7)
        assert await handle.query(Account.balance) == 12
        assert await orchestrator.handle(handle.instance_id, bank).query(Account.balance) == 12


@pytest.mark.needs_cache
async def test_an_answer_tells_of_what_is_durable(watched: Watched) -> None:
    """Workflow code runs a step ahead of the store; nobody sees it before it is written."""
    is_held, may_go = asyncio.Event(), asyncio.Event()

    def hold(transition: object) -> Any:
        if not isinstance(transition, CompleteWorkflowTask) or not transition.fused:
            return None
        is_held.set()
        return may_go.wait()

    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await perdure.start(bank)
        watched.hold = hold
        paying = asyncio.create_task(handle.update(Account.pay, 5))
        await is_held.wait()
        asking = asyncio.create_task(handle.query(Account.balance))
        await asyncio.sleep(0.05)
        assert not asking.done()
        may_go.set()
        assert await asking == 5
        assert await paying == 5


@pytest.mark.needs_cache
async def test_a_query_that_changes_something_costs_the_execution_in_memory(memory: MemoryBackend) -> None:
    @workflow
    async def meddled(ctx: Context) -> str:
        event = asyncio.Event()
        ctx.on_query(event.set, name="set")
        ctx.on_query(event.is_set, name="is_set")
        ctx.on_update(lambda: ctx.side_effect(int), name="touch")
        await event.wait()
        return "woken"

    async with Orchestrator(memory, App(workflows=[meddled])) as perdure:
        handle = await perdure.start(meddled)
        with pytest.raises(QueryFailed, match="woke a task"):
            await handle.query("set")
        assert await handle.query("is_set") is False
        assert await handle.update("touch") == 0
