"""Each due time starts one run, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from perdure.client.client import Client
from perdure.model.instance import State
from perdure.model.schedule import Schedule
from tests.many_workers.processes import ROOT
from tests.many_workers.scheduled import app, weighed

WORKERS = 4
SCHEDULES = 20
DUE = 10
SECOND = timedelta(seconds=1)


def start(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.many_workers.scheduled", url], cwd=ROOT)


async def test_each_due_time_starts_one_run_while_workers_are_killed(shared_store_url: str) -> None:
    dice = random.Random(7)
    begin = datetime.now(UTC).replace(microsecond=0) + 5 * SECOND
    async with Client(shared_store_url, app) as client:
        for number in range(SCHEDULES):
            schedule = Schedule(
                f"scale-{number:02}",
                every=SECOND,
                overlap="allow" if number % 2 else "queue",
                start_at=begin,
                end_at=begin + (DUE - 1) * SECOND,
            )
            await client.schedule(schedule, weighed, number)
        workers = [start(shared_store_url) for _ in range(WORKERS)]
        while await client.count(workflow="perdure:schedule", states=[State.RUNNING]):
            await asyncio.sleep(1)
            killed = workers.pop(dice.randrange(WORKERS))
            killed.kill()
            killed.wait()
            workers.append(start(shared_store_url))
        # What a schedule starts is sent: in a store with partitions it may arrive after the schedule's end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while (await client.count(workflow=weighed)).get(State.COMPLETED, 0) < SCHEDULES * DUE:
                    await asyncio.sleep(0.2)
        for worker in workers:
            worker.terminate()
        assert {worker.wait(timeout=60) for worker in workers} <= {0, -signal.SIGTERM}  # one may not have begun yet
        runs = {instance.instance_id: instance.state async for instance in client.list(workflow=weighed)}
        results = [await client.result(f"scale-{number:02}@{begin:%FT%T}Z") for number in range(SCHEDULES)]

    due = [begin + place * SECOND for place in range(DUE)]
    assert set(runs) == {f"scale-{number:02}@{at:%FT%T}Z" for number in range(SCHEDULES) for at in due}
    assert set(runs.values()) == {State.COMPLETED}
    assert results == list(range(SCHEDULES))
