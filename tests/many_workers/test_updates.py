"""Updates while workers die: each is answered once, in one order, which history shows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sized
from contextlib import asynccontextmanager

from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.errors import UpdateRefused
from perdure.model.event import UpdateAccepted, UpdateCompleted
from tests.many_workers.processes import ROOT
from tests.many_workers.updated import Ledger, ledger

UPDATES = 500
SECONDS = 100


@asynccontextmanager
async def dying_workers(client: Client, url: str, number: int, done: Sized) -> AsyncIterator[list[int]]:
    """So many worker processes; each second one that has begun is killed, if more is done by then. Gives their exit codes.

    On a machine that is too slow for anything to be done, five in a row would be lost, and what they ran would be given up.
    """
    command = [sys.executable, "-m", "tests.many_workers.updated", url]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(number)]  # all that were ever started
    killed: list[int] = []

    async def kill() -> None:
        while True:
            before = len(done)
            await asyncio.sleep(1)
            process = processes[len(killed)]
            while len(done) == before or not await has_begun(client, process):
                await asyncio.sleep(0.1)
            processes.append(subprocess.Popen(command, cwd=ROOT))
            process.kill()
            killed.append(await asyncio.to_thread(process.wait))

    killing = asyncio.create_task(kill())
    try:
        yield killed
    finally:
        killing.cancel()
        await asyncio.wait((killing,))
        for process in processes:
            process.kill()
            await asyncio.to_thread(process.wait)


async def has_begun(client: Client, process: subprocess.Popen[bytes]) -> bool:
    return any(f":{process.pid}:" in worker.worker for worker in (await client.stats()).workers)


async def enter(handle: Handle[list[int]], number: int) -> int | None:
    """The place of the entry; None if it was refused. One in two is sent by two callers."""
    handle = handle.with_options(idempotency_key=str(number), timeout=SECONDS)
    try:
        places = await asyncio.gather(*(handle.update(Ledger.enter, number) for _ in range(1 + number % 2)))
    except UpdateRefused:
        return None
    assert len(set(places)) == 1
    return places[0]


async def test_each_is_answered_once_in_one_order_that_history_shows(shared_store_url: str) -> None:
    """500 concurrent ones with a worker killed each second."""
    answers: dict[int, int | None] = {}

    async def answered(handle: Handle[list[int]], number: int) -> None:
        answers[number] = await enter(handle, number)

    async with Client(shared_store_url) as client, dying_workers(client, shared_store_url, 3, answers) as killed:
        handle = await client.start(ledger)
        await asyncio.gather(*(answered(handle, number) for number in range(UPDATES)))
        await handle.with_options(timeout=SECONDS).update(Ledger.close)
        entries = await handle.result(timeout=SECONDS)
        events = [each.event async for each in handle.history()]
        refused = set(range(0, UPDATES, 10))
        assert answers == {number: place for place, number in enumerate(entries, 1)} | dict.fromkeys(refused)
        accepted = [event for event in events if isinstance(event, UpdateAccepted)]
        assert [int(event.arguments[1:-1]) for event in accepted[:-1]] == entries
        completed = [event.update_id for event in events if isinstance(event, UpdateCompleted)]
        assert sorted(completed) == sorted(event.update_id for event in accepted)
        assert killed
