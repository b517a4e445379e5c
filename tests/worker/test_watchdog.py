"""E5: no workflow takes a worker with it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Self

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import InstanceNotFound
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import until, until_async

go_on = Signal("go on", int)


@workflow
async def wait(ctx: Context) -> int:
    return await ctx.signal_channel(go_on).receive()


class InThread:
    """A worker on an event loop in a thread, whose blocking doesn't block the test."""

    def __init__(self, backend: MemoryBackend, app: App, **options: Any) -> None:
        self._backend, self._app, self._options = backend, app, options
        self.loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run)

    async def __aenter__(self) -> Self:
        self._thread.start()
        await until(lambda: self._stop is not None)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._stop is not None
        self.loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, 20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        async with Worker(self._backend.twin(), self._app, **self._options):
            self._stop = asyncio.Event()
            await self._stop.wait()


async def test_e5_a_blocked_loop_is_reported_within_2_s_with_the_stack_and_the_instance(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    free = threading.Event()

    @workflow
    async def block(ctx: Context) -> str:
        hold_up_everything(free)
        return "done"

    app = App(workflows=[block])
    async with Client(memory, app) as client, InThread(memory, app):
        await client.start(block.with_options(instance_id="order-7"))
        began = time.monotonic()
        await until(lambda: [each for each in caplog.records if "has been blocked" in each.message])
        assert time.monotonic() - began < 2
        [record] = [each for each in caplog.records if "has been blocked" in each.message]
        free.set()

    assert "workflow code of instance 'order-7'" in record.message
    assert "hold_up_everything" in record.message
    assert record.levelno == logging.WARNING


def hold_up_everything(free: threading.Event) -> None:
    free.wait(20)


@pytest.mark.needs_cache
async def test_e5_past_the_limit_the_instance_is_stuck_and_others_have_the_rest(memory: MemoryBackend) -> None:
    free = threading.Event()

    @workflow
    async def block(ctx: Context) -> str:
        free.wait(20)
        return "done"

    app = App(workflows=[block, wait])
    async with Client(memory, app) as client, InThread(memory, app, block_limit=1.5):
        waiting = await client.start(wait)
        await until_async(lambda: _is_held(waiting))
        blocking = await client.start(block)
        await until_async(lambda: _is_stuck(blocking))
        stuck = (await blocking.info()).stuck
        assert stuck is not None
        assert stuck.retry_at is None
        assert "blocked" in stuck.reason
        async with Worker(memory, App(workflows=[wait])):
            await waiting.signal(go_on, 8)
            assert await waiting.result() == 8
        free.set()
        await blocking.resume()  # the first worker works again, under a new key
        assert await blocking.result() == "done"


@pytest.mark.needs_cache
async def test_e5_past_the_limit_in_the_first_step_of_a_start_nothing_is_there_to_be_stuck(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The others of the worker go on elsewhere; the start goes on when the code gives the loop back."""
    free, begun = threading.Event(), threading.Event()

    @workflow
    async def block(ctx: Context) -> str:
        begun.set()
        free.wait(20)
        return "done"

    app = App(workflows=[block, wait])

    async def start_both() -> str:
        async with Orchestrator(memory.twin(), app, block_limit=1.5) as perdure:
            await perdure.start(wait.with_options(instance_id="waits"))
            return await perdure.run(block.with_options(instance_id="blocks"))

    running = asyncio.create_task(asyncio.to_thread(asyncio.run, start_both()))
    async with Client(memory, app) as client, Worker(memory, App(workflows=[wait])):
        assert await asyncio.to_thread(begun.wait, 10)
        await until(lambda: [each for each in caplog.records if "hasn't been started yet" in each.message])
        with pytest.raises(InstanceNotFound):
            await client.state("blocks")
        await client.signal("waits", go_on, 8)
        assert await client.result("waits", timeout=10) == 8
        free.set()
        assert await running == "done"


async def _is_held(handle: Any) -> bool:
    info = await handle.info()
    return info.history_length > 0 and info.worker is not None


async def _is_stuck(handle: Any) -> bool:
    return (await handle.info()).stuck is not None


async def test_e5_leases_are_kept_while_the_loop_is_blocked(memory: MemoryBackend) -> None:
    free = threading.Event()

    @workflow
    async def block(ctx: Context) -> str:
        free.wait(20)
        return "done"

    app = App(workflows=[block])
    async with Client(memory, app) as client, InThread(memory, app, lease=0.4):
        handle = await client.start(block)
        await asyncio.sleep(1.5)
        assert (await memory.housekeep()).workers_lost == 0
        free.set()
        assert await handle.result() == "done"


async def test_e5_an_activity_that_blocks_for_ever_costs_the_worker_its_lease_and_counts_as_lost(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    free = threading.Event()

    @activity
    async def block() -> str:
        free.wait(20)
        return "done"

    @workflow
    async def run(ctx: Context) -> str:
        return await ctx.execute_activity(block)

    app = App(workflows=[run], activities=[block])
    async with Client(memory, app) as client, InThread(memory, app, block_limit=1.2, lease=1):
        handle = await client.start(run)
        await until(lambda: "no heartbeats until it ends" in caplog.text)
        assert "perdure activity" in caplog.text
        await until_async(lambda: _was_lost(memory, handle.instance_id))
        free.set()
        assert await handle.result() == "done"


async def _was_lost(memory: MemoryBackend, instance_id: str) -> bool:
    await memory.housekeep()
    return any(each.lost == 1 for each in await memory.read_activities(instance_id))
