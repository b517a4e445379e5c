"""K3: graceful stop, and ends that aren't graceful."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.connect import connect
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.model.event import ActivityCompleted
from perdure.model.retry import NO_RETRY
from perdure.model.transition import ActivityReleased, ActivityResult, ClaimTasks, CompleteActivityTask
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker import killed_worker
from tests.worker.support import Watched, as_backend, until, until_async

go_on = Signal("go on", int)
ROOT = Path(__file__).parents[2]


class Job:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.free = asyncio.Event()

    @activity(retry=NO_RETRY)
    async def work(self) -> str:
        self.said.append("begun")
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.said.append("cancelled")
            raise
        return "worked"


@workflow
async def delegate(ctx: Context) -> str:
    return await ctx.execute_activity(Job.work)


@workflow
async def wait(ctx: Context) -> int:
    return await ctx.signal_channel(go_on).receive()


async def test_k3_running_activities_get_the_grace_period_and_their_results_are_recorded(store: Backend) -> None:
    job = Job()
    app = App(workflows=[delegate], activities=[job])
    async with Client(store, app) as client:
        worker = Worker(store, app, grace=10)
        async with worker:
            handle = await client.start(delegate)
            await until(lambda: job.said)
            stopping = asyncio.create_task(worker.stop())
            await asyncio.sleep(0.05)
            assert not stopping.done()
            job.free.set()
            await stopping
        assert list(await store.read_activities(handle.instance_id)) == []
        async with Worker(store, App(workflows=[delegate]), activity_queues=()):  # the instance had been given back
            assert await handle.result() == "worked"
    assert job.said == ["begun"]


async def test_k3_after_the_grace_period_they_are_cancelled_and_given_back_uncounted(watched: Watched) -> None:
    job = Job()
    app = App(workflows=[delegate], activities=[job])
    backend = as_backend(watched)
    async with Client(backend, app) as client:
        async with Worker(backend, app, grace=0.05):
            handle = await client.start(delegate)
            await until(lambda: job.said)
        assert job.said == ["begun", "cancelled"]
        [pending] = await backend.read_activities(handle.instance_id)
        assert (pending.attempt, pending.lost, pending.worker, pending.last_failure) == (1, 0, None, None)
        job.free.set()
        async with Worker(backend, app):
            assert await handle.result() == "worked"

    assert [type(each.end) for each in watched.of_kind(CompleteActivityTask)] == [ActivityReleased, ActivityResult]


@pytest.mark.needs_cache
async def test_k3_leases_are_given_back_at_once_and_nothing_is_claimed_any_more(watched: Watched) -> None:
    job = Job()
    app = App(workflows=[delegate, wait], activities=[job])
    backend = as_backend(watched)
    async with Client(backend, app) as client:
        worker = Worker(backend, app, grace=10)
        async with worker:
            waiting = await client.start(wait)
            await client.start(delegate)
            await until(lambda: job.said)
            await until_async(lambda: _is_held(waiting))
            stopping = asyncio.create_task(worker.stop())
            await until_async(lambda: _is_free(waiting))
            claims = len(watched.of_kind(ClaimTasks))
            async with Worker(backend, App(workflows=[wait])):  # others go on with it during the grace period
                await waiting.signal(go_on, 6)
                assert await waiting.result() == 6
                other = len(watched.of_kind(ClaimTasks)) - claims
            assert other > 0
            assert not stopping.done()
            job.free.set()
            await stopping
        assert await backend.list_workers() == []


async def _is_held(handle: Any) -> bool:
    info = await handle.info()
    return info.history_length > 0 and info.worker is not None


async def _is_free(handle: Any) -> bool:
    return (await handle.info()).worker is None


async def test_k3_an_activity_hears_that_the_worker_is_stopping(memory: MemoryBackend) -> None:
    begun: list[int] = []

    @activity
    def polite() -> str:
        begun.append(1)
        deadline = time.monotonic() + 10
        while not activity_context().worker_stopping and time.monotonic() < deadline:
            time.sleep(0.002)
        return f"finished early, cancelled: {activity_context().cancelled}"

    @workflow
    async def run(ctx: Context) -> str:
        return await ctx.execute_activity(polite)

    app = App(workflows=[run], activities=[polite])
    async with Client(memory, app) as client:
        async with Worker(memory, app):
            handle = await client.start(run)
            await until(lambda: begun)
        async with Worker(memory, app):
            assert await handle.result() == "finished early, cancelled: False"
    assert begun == [1]


async def test_k3_a_thread_that_doesnt_stop_doesnt_keep_the_worker(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    free, begun = threading.Event(), []

    @activity
    def deaf() -> str:
        begun.append(1)
        free.wait(30)
        return "late"

    @workflow
    async def run(ctx: Context) -> str:
        return await ctx.execute_activity(deaf)

    app = App(workflows=[run], activities=[deaf])
    async with Client(memory, app) as client:
        worker = Worker(memory, app, grace=0)
        async with worker:
            handle = await client.start(run)
            await until(lambda: begun)
            await worker.stop(at_once=True)
        [pending] = await memory.read_activities(handle.instance_id)
        assert pending.worker is None
        assert "doesn't stop" in caplog.text
        free.set()


async def test_cancelling_the_task_that_waits_for_the_end_makes_it_at_once(memory: MemoryBackend) -> None:
    job = Job()
    app = App(workflows=[delegate], activities=[job])
    async with Client(memory, app) as client:
        await client.start(delegate)

        async def program() -> None:
            async with Worker(memory, app, grace=60):
                await until(lambda: job.said)

        task = asyncio.create_task(program())
        await until(lambda: job.said)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait((task,), timeout=10)
        assert task.cancelled()
    assert job.said == ["begun", "cancelled"]


# --- processes


def start_process(path: Path, *args: str) -> subprocess.Popen[bytes]:
    code = [sys.executable, "-m", "tests.worker.killed_worker", f"sqlite:///{path}/crash.db", *args]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(code, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_k3_a_signal_stops_a_process_gracefully(tmp_path: Path, number: signal.Signals) -> None:
    process = start_process(tmp_path)
    backend = connect(f"sqlite:///{tmp_path}/crash.db")
    await backend.open()
    async with Client(backend, killed_worker.app) as client:
        handle = await client.start(killed_worker.slow_steps, 1, 0.5)
        await until_async(lambda: _runs_an_activity(backend, handle.instance_id))
        process.send_signal(number)
        _, stderr = await asyncio.to_thread(process.communicate, None, 20)
        assert process.returncode == 0, stderr.decode()
        assert [each async for each in handle.history()]
        assert await backend.list_workers() == []
        async with Worker(backend, killed_worker.app):
            assert await handle.result() == 1
    await backend.close()


async def test_k3_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    process = start_process(tmp_path)
    backend = connect(f"sqlite:///{tmp_path}/crash.db")
    await backend.open()
    async with Client(backend, killed_worker.app) as client:
        handle = await client.start(killed_worker.slow_steps, 1, 60)
        await until_async(lambda: _runs_an_activity(backend, handle.instance_id))
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert process.poll() is None  # the grace period
        process.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.to_thread(process.communicate, None, 20)
        assert process.returncode == 0, stderr.decode()
        [pending] = await backend.read_activities(handle.instance_id)
        assert (pending.worker, pending.lost) == (None, 0)
    await backend.close()


async def _runs_an_activity(backend: Backend, instance_id: str) -> bool:
    return any(each.worker is not None for each in await backend.read_activities(instance_id))


async def test_k3_kill_9_at_any_instant_loses_nothing(tmp_path: Path) -> None:
    backend = connect(f"sqlite:///{tmp_path}/crash.db")
    await backend.open()
    async with Client(backend, killed_worker.app) as client:
        handles = [await client.start(killed_worker.slow_steps, 20, 0.002) for _ in range(10)]
        for round_ in range(5):
            process = start_process(tmp_path)
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            await asyncio.sleep(0.02 + 0.03 * round_)
            process.kill()
            await asyncio.to_thread(process.communicate)
        async with Worker(backend, killed_worker.app):
            async with asyncio.timeout(60):
                assert [await handle.result() for handle in handles] == [20] * 10
        for handle in handles:
            completed = [each async for each in handle.history() if isinstance(each.event, ActivityCompleted)]
            assert len(completed) == 20
    await backend.close()


async def test_k3_a_claim_that_is_on_its_way_when_the_worker_stops_holds_nothing_up(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """The places that it kept are free again, though nothing came for them."""
    claimed, go_on = asyncio.Event(), asyncio.Event()

    @workflow
    async def nothing(ctx: Context) -> None: ...

    app = App(workflows=[nothing])

    async def hold() -> None:
        claimed.set()
        await go_on.wait()

    async with Worker(as_backend(watched), app) as worker:
        watched.hold = lambda transition: hold() if isinstance(transition, ClaimTasks) else None
        await asyncio.wait_for(claimed.wait(), 10)
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0.05)
        began = time.monotonic()
        go_on.set()
        await stopping
        assert time.monotonic() - began < 3  # it would be given up after 5
    assert not caplog.records
