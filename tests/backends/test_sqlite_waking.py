"""Who is woken by what, within a process and across."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from perdure.errors import InstanceNotFound
from perdure.model.instance import State
from perdure.model.transition import ActivityRetry
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened, start_program


async def _seconds(waiting: object) -> float:
    began = time.monotonic()
    await waiting  # type: ignore[misc]
    return time.monotonic() - began


async def test_another_process_wakes_a_waiting_worker(tmp_path: Path) -> None:
    """B6"""
    path = tmp_path / "store.db"
    code = """
async def main():
    async with opened(path) as store:
        sys.stdin.readline()
        await store.create()
        print("created", flush=True)
"""
    async with opened(path) as store:
        worker = await store.worker()
        program = start_program(code, path)
        assert program.stdin is not None
        assert program.stdout is not None
        await asyncio.sleep(1)  # opening writes, too
        await worker.claim()
        waiting = asyncio.create_task(_seconds(store.backend.wait_for_work(worker.key, 20)))
        await asyncio.sleep(0.1)
        program.stdin.write("go\n")
        program.stdin.flush()
        assert await waiting < 5
        await asyncio.to_thread(program.stdout.readline)
        assert (await worker.claim_workflow_task()).instance_id == "order-1"
        program.communicate()


async def test_another_process_ends_what_is_waited_for(tmp_path: Path) -> None:
    """B6"""
    path = tmp_path / "store.db"
    code = """
async def main():
    async with opened(path) as store:
        await store.finished(await store.worker(), "there")
        await store.backend.commit(Terminate(instance_id="here", reason="enough"))
"""
    async with opened(path) as store:
        await store.create("here", workflow="nobody's")
        here = asyncio.create_task(store.backend.wait_for_outcome("here", 20))
        program = start_program(code, path)
        outcome = await asyncio.wait_for(here, 15)
        assert outcome is not None
        assert (outcome.state, outcome.reason) == (State.TERMINATED, "enough")
        there = await store.backend.wait_for_outcome("there", 1)
        assert there is not None
        assert there.result == b'"done"'
        await asyncio.to_thread(program.communicate)


async def test_another_process_answers_a_question(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    code = """
async def main():
    async with opened(path) as store:
        worker = await store.worker()
        await worker.claim_workflow_task()
        print("ready", flush=True)
        questions = []
        while not questions:
            await store.backend.wait_for_work(worker.key, 1)
            await worker.claim()
            questions = await store.backend.take_questions(worker.key)
        await store.backend.answer(questions[0].question_id, b"reply to " + questions[0].request)
        await asyncio.sleep(2)
"""
    async with opened(path) as store:
        await store.create()
        program = start_program(code, path)
        assert program.stdout is not None
        await asyncio.to_thread(program.stdout.readline)
        assert await store.backend.ask("order-1", b"how far?", 10) == b"reply to how far?"
        await asyncio.to_thread(program.communicate)


async def test_waiting_returns_when_a_timer_is_due_though_nothing_is_written(tmp_path: Path) -> None:
    """B6: due timers fire within 50 ms when idle."""
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        await store.create(start_delay=300_000)
        await worker.claim()
        waited = await _seconds(store.backend.wait_for_work(worker.key, 20))
        assert 0.2 < waited < 1.0
        assert len(await worker.claim_workflow_tasks()) == 1


async def test_an_activity_that_is_due_later_wakes_its_worker_then(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, 300_000))
        await worker.claim()
        assert 0.2 < await _seconds(store.backend.wait_for_work(worker.key, 20)) < 1.0
        assert (await worker.claim_activity()).attempt == 2


async def test_an_outcome_comes_with_the_wake_up_and_is_not_read(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        await store.create()
        task = await worker.claim_workflow_task()
        waiting = asyncio.create_task(store.backend.wait_for_outcome("order-1", 20))
        await asyncio.sleep(0.05)
        await worker.checkpoint(task, closing=builders.completed())
        outcome = await waiting
        assert outcome is not None
        assert outcome.result == b'"done"'
        names = {thread.name for thread in threading.enumerate()}
        assert not any("perdure reads" in name and str(tmp_path) in name for name in names)


async def test_waiting_for_nobody_is_an_error_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        with pytest.raises(InstanceNotFound):
            await store.backend.wait_for_outcome("nobody", 20)


async def test_an_idle_store_that_is_waited_at_uses_little_of_a_processor(tmp_path: Path) -> None:
    """B6: under 1 %; the measure here is generous, for machines that do other things as well."""
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        await worker.claim()
        await store.backend.wait_for_work(worker.key, 0.2)
        before = sum(os.times()[:2])
        await store.backend.wait_for_work(worker.key, 3)
        assert sum(os.times()[:2]) - before < 0.09


async def test_closing_ends_the_threads_and_those_who_wait(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        await store.create()
        await worker.claim()
        await store.backend.read_instance("order-1")
        waiting = asyncio.create_task(store.backend.wait_for_work(worker.key, 60))
        await asyncio.sleep(0.05)
    await asyncio.wait_for(waiting, 5)
    await asyncio.sleep(0.1)
    assert not [thread.name for thread in threading.enumerate() if str(tmp_path) in thread.name]
