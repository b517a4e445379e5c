"""Several processes on one file, and what is left when one is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from perdure.backends.sqlite import SqliteBackend
from perdure.errors import StoreUnavailable
from perdure.model.instance import State
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened, start_program

_CLAIM_AND_HANG = """
async def main():
    async with opened(path) as store:
        worker = await store.worker("doomed", lease=1000)
        await worker.claim_workflow_tasks()
        print("claimed", flush=True)
        await asyncio.sleep(100)
"""


def _kill(program: object) -> None:
    program.kill()  # type: ignore[attr-defined]
    program.communicate()  # type: ignore[attr-defined]


async def test_processes_share_the_work_and_nothing_is_done_twice(tmp_path: Path) -> None:
    code = """
async def main():
    async with opened(path) as store:
        worker = await store.worker(sys.argv[2])
        mine = [f"order-{sys.argv[2]}-{number}" for number in range(100)]
        await asyncio.gather(*(store.create(instance_id) for instance_id in mine))
        idle = 0
        while idle < 20:
            tasks = await worker.claim_workflow_tasks(7)
            idle = 0 if tasks else idle + 1
            await asyncio.gather(*(worker.checkpoint(task, closing=builders.completed()) for task in tasks))
            for task in tasks:
                print(task.instance_id)
            if not tasks:
                await asyncio.sleep(0.02)
"""
    path = tmp_path / "store.db"
    programs = [start_program(code, path, f"p{number}") for number in range(4)]
    done: list[str] = []
    for program in programs:
        out, err = await asyncio.to_thread(program.communicate, timeout=60)
        assert program.returncode == 0, err
        done += out.split()
    assert len(done) == len(set(done)) == 400
    async with opened(path) as store:
        assert await store.backend.count_instances() == {State.COMPLETED: 400}


async def test_a_killed_process_gives_its_work_back_at_once(tmp_path: Path) -> None:
    """B3: its locks show its death, long before its lease lapses."""
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await store.create()
        program = start_program(_CLAIM_AND_HANG, path)
        assert program.stdout is not None
        await asyncio.to_thread(program.stdout.readline)
        assert (await store.backend.housekeep()).workers_lost == 0
        assert (await store.backend.read_instance("order-1")).worker == "doomed"
        _kill(program)
        assert (await store.backend.housekeep()).workers_lost == 1
        worker = await store.worker()
        assert (await worker.claim_workflow_task()).instance_id == "order-1"


async def test_a_program_that_is_started_again_goes_on_without_waiting(tmp_path: Path) -> None:
    """B3: starting a worker looks for dead ones."""
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await store.create()
    program = start_program(_CLAIM_AND_HANG, path)
    assert program.stdout is not None
    await asyncio.to_thread(program.stdout.readline)
    _kill(program)
    async with opened(path) as store:
        worker = await store.worker()
        assert (await worker.claim_workflow_task()).instance_id == "order-1"
        assert len(list((tmp_path / "store.db-workers").iterdir())) == 1


async def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    """B9"""
    code = """
async def main():
    async with opened(path) as store:
        for number in range(100_000):
            await asyncio.gather(*(store.create(f"order-{number}-{part}") for part in range(20)))
            print(number, flush=True)
"""
    path = tmp_path / "store.db"
    program = start_program(code, path)
    assert program.stdout is not None
    acknowledged = -1
    until = time.monotonic() + 1.0
    while acknowledged < 1 or time.monotonic() < until:
        acknowledged = int(await asyncio.to_thread(program.stdout.readline))
    program.kill()
    out, _ = program.communicate()
    acknowledged = max([acknowledged, *(int(line) for line in out.split("\n")[:-1])])
    assert acknowledged > 0
    async with opened(path) as store:
        counts = await store.backend.count_instances()
        assert counts[State.RUNNING] >= 20 * (acknowledged + 1)
        await store.create("after the kill")


async def test_a_graceful_stop_leaves_no_lock_behind(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        await worker.stop()
        assert list((tmp_path / "store.db-workers").iterdir()) == []


async def test_handles_of_a_process_share_one_connection_and_the_last_one_closes_it(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    async with opened(tmp_path / "store.db") as one:
        async with opened(tmp_path / "link.db") as two:
            assert isinstance(one.backend, SqliteBackend)
            assert isinstance(two.backend, SqliteBackend)
            assert one.backend._opened is two.backend._opened
            await two.create()
        assert await one.backend.count_instances() == {State.RUNNING: 1}
        assert (tmp_path / "store.db-wal").exists()
    assert not (tmp_path / "store.db-wal").exists()


def _use_inherited(backend: SqliteBackend, path: str, answers: multiprocessing.Queue[str]) -> None:
    async def use() -> None:
        try:
            await backend.commit(builders.create("from the child"))
        except StoreUnavailable as error:
            answers.put(str(error))
        async with opened(path) as store:
            await store.create("from the child's own")
            answers.put("created")

    asyncio.run(use())
    time.sleep(100)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing forks there")
async def test_a_forked_child_neither_writes_through_nor_keeps_alive_what_it_inherited(tmp_path: Path) -> None:
    """B3"""
    path = tmp_path / "store.db"
    parent_code = """
import multiprocessing
from tests.backends.test_sqlite_processes import _use_inherited

async def main():
    async with opened(path) as store:
        worker = await store.worker("parent", lease=1000)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        child = context.Process(target=_use_inherited, args=(store.backend, path, answers))
        child.start()
        print(await asyncio.to_thread(answers.get), flush=True)
        print(await asyncio.to_thread(answers.get), flush=True)
        print(child.pid, flush=True)
        await asyncio.sleep(100)
"""
    program = start_program(parent_code, path)
    assert program.stdout is not None
    refused, created, child = [(await asyncio.to_thread(program.stdout.readline)).strip() for _ in range(3)]
    try:
        assert "before the process forked" in refused
        assert created == "created"
        program.kill()
        program.wait()
        async with opened(path) as store:
            assert (await store.backend.housekeep()).workers_lost == 1
            assert await store.backend.count_instances() == {State.RUNNING: 1}
    finally:
        os.kill(int(child), signal.SIGKILL)
        program.communicate()
