"""Executions that are made from history to be asked: how often, and who goes before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.clock import SystemClock
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.errors import QueryFailed
from perdure.worker import replicas
from perdure.worker.replicas import Replicas
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act
from tests.worker.asked import Account, app, bank, rounds
from tests.worker.support import Watched, as_backend, until_async


class Noted(Watched):
    """It notes from where on histories are read."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.reads_after: list[int] = []

    async def read_history(self, instance_id: str, **where: Any) -> Any:
        self.reads_after.append(where["after"])
        return await self._backend.read_history(instance_id, **where)


@pytest.fixture
def noted(memory: MemoryBackend) -> Noted:
    return Noted(memory)


@pytest.fixture
async def client(memory: MemoryBackend) -> AsyncIterator[Client]:
    """It asks by way of the store."""
    async with Client(memory) as client:
        yield client


async def put_aside(handle: Handle[Any]) -> None:
    """Suspend it, which takes its execution out of memory."""
    await handle.suspend()

    async def is_free() -> bool:
        return (await handle.info()).worker is None

    await until_async(is_free)


async def ended(client: Client) -> Handle[int]:
    """Nobody has it in memory, whatever the workers' caches."""
    handle = await client.start(bank)
    await handle.update(Account.pay, 5)
    await handle.update(Account.close)
    await handle.result()
    return handle


@pytest.mark.parametrize("cache_size", [0, 10])
async def test_however_many_ask_at_once_a_history_is_replayed_once(
    noted: Noted, client: Client, cache_size: int
) -> None:
    """A storm of queries to an evicted instance."""
    async with Worker(as_backend(noted), app, cache_size=cache_size):
        handle = await ended(client)
        answers = await asyncio.gather(*(handle.query(Account.balance) for _ in range(50)))
    assert answers == [5] * 50
    assert noted.reads_after == [-1]


async def test_the_next_question_is_answered_from_memory(noted: Noted, client: Client) -> None:
    async with Worker(as_backend(noted), app, cache_size=10):
        handle = await ended(client)
        for _ in range(3):
            assert await handle.query(Account.balance) == 5
    assert noted.reads_after == [-1]


async def test_a_worker_that_keeps_no_execution_keeps_no_replica(noted: Noted, client: Client) -> None:
    async with Worker(as_backend(noted), app, cache_size=0):
        handle = await ended(client)
        for _ in range(3):
            assert await handle.query(Account.balance) == 5
    assert noted.reads_after == [-1] * 3


async def test_a_replica_is_brought_up_to_date_by_what_is_new_alone(noted: Noted, client: Client) -> None:
    async with Worker(as_backend(noted), app, cache_size=10):
        handle = await client.start(bank)
        await handle.update(Account.pay, 5)
        await put_aside(handle)
        assert await handle.query(Account.balance) == 5
        length = (await handle.info()).history_length
        await handle.resume()
        await handle.update(Account.pay, 7)
        await put_aside(handle)
        noted.reads_after.clear()
        assert await handle.query(Account.balance) == 12
        assert await handle.query(Account.balance) == 12
        assert noted.reads_after == [length - 1]


async def test_another_execution_is_another_replica(noted: Noted, client: Client) -> None:
    async with Worker(as_backend(noted), app, cache_size=10):
        handle = await client.start(rounds)
        for done in range(2):
            while await handle.query("done") < done:  # it has to begin
                await asyncio.sleep(0.01)
            await put_aside(handle)
            assert await handle.query("done") == done
            await handle.resume()
            await handle.update("add", 1)


async def test_the_latest_few_are_kept(noted: Noted, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "_MOST_KEPT", 2)
    async with Worker(as_backend(noted), app, cache_size=10):
        handles = [await ended(client) for _ in range(3)]
        for handle in (*handles, handles[1], handles[0]):
            await handle.query(Account.balance)
    assert noted.reads_after == [-1] * 4


async def test_what_nobody_asks_about_goes(noted: Noted, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "_KEPT_SECONDS", 0.01)
    async with Worker(as_backend(noted), app, cache_size=10):
        handle = await ended(client)

        async def is_replayed_again() -> bool:
            await asyncio.sleep(0.05)
            await handle.query(Account.balance)
            return len(noted.reads_after) > 1

        await until_async(is_replayed_again)


async def test_a_query_that_changes_something_costs_its_replica_alone(noted: Noted, client: Client) -> None:
    @workflow
    async def meddled(ctx: Context) -> None:
        event = asyncio.Event()
        ctx.on_query(event.set, name="set")
        ctx.on_query(event.is_set, name="is_set")
        woken = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        assert not woken.done()

    async with Worker(as_backend(noted), App(workflows=[meddled]), cache_size=10):
        handle = await client.start(meddled)
        await handle.result()
        answers = await asyncio.gather(
            *(handle.query(name) for name in ("is_set", "set", "is_set")), return_exceptions=True
        )
        assert (answers[0], type(answers[1]), answers[2]) == (False, QueryFailed, False)


class Slow(SystemClock):
    """Whoever asks it has worked for half a millisecond."""

    seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 0.0005
        return self.seconds


def long_run() -> Run:
    async def long(ctx: Context) -> None:
        for _ in range(500):
            await act(ctx, "a")

    run = Run(long)
    for number in range(1, 401):
        run.complete(number)
    return run


def alone(run: Run, *, has_steps: bool) -> Replicas:
    return Replicas(
        cast("Any", None),
        run.app,
        limits=Limits(),
        most_kept=0,
        has_steps=lambda: has_steps,
        clock=Slow(),
        spawn=cast("Any", None),
        loggers=cast("Any", None),
    )


async def test_long_histories_are_replayed_in_slices() -> None:
    """Others have their turn of the loop meanwhile, however many histories are replayed."""
    run, turns = long_run(), 0
    replicas = alone(run, has_steps=False)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    executions = [Execution(run._task(), run.definition, run.app), run._new()]
    await asyncio.gather(*(replicas.replay(each, run.history) for each in executions))
    counting.cancel()
    assert turns > 2 * 401 / 5
    assert {each.position for each in (run.execution, *executions)} == {len(run.history)}
    for each in executions:
        each.close()


async def test_while_steps_are_under_way_replays_leave_the_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run, pauses, sleep = long_run(), list[float](), asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    await alone(run, has_steps=True).replay(execution := run._new(), run.history)
    execution.close()
    slices = pauses.count(0)
    assert slices > 401 / 5
    assert sum(pauses) == pytest.approx(slices * 4 * 0.001)
