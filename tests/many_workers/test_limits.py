"""Limits of a queue hold over all worker processes, and no worker is left out."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import limited_queue
from perdure.client.client import Client
from tests.many_workers.logged import FULL_HOUSES, Note, in_a_row, read_notes, side_by_side
from tests.many_workers.processes import workers

SECONDS = 120
IN_EACH = 4
INSTANCES = 30

kinds = pytest.mark.parametrize("kind", [in_a_row, side_by_side], ids=lambda kind: kind.name)
"""The next activity comes back with the commit of the last one, or all are claimed."""


async def run(
    url: str, kind: Any, log: Path, *, seconds: float = 0, queue: str = "limited", full_house: int = 0
) -> None:
    async with Client(url) as client:
        handles = [await client.start(kind, log, queue, IN_EACH, seconds, full_house) for _ in range(INSTANCES)]
        await asyncio.gather(*(handle.result(timeout=SECONDS) for handle in handles))


async def limit(url: str, *, at_once: int | None = None, per_second: float | None = None) -> None:
    async with Client(url) as client:
        await client.queues.set_limits("limited", at_once=at_once, per_second=per_second)


def most_at_once(notes: list[Note]) -> int:
    """Of those that had their leases: where a worker stood still for so long that an activity began again, the last time counts."""
    last = {note.activity: note.attempt for note in notes if note.is_begin}
    running = most = 0
    for note in notes:
        if note.attempt != last[note.activity]:
            continue
        running += 1 if note.is_begin else -1
        most = max(most, running)
    return most


def activities(notes: list[Note]) -> set[str]:
    return {note.activity for note in notes}


def begins(notes: list[Note]) -> list[Note]:
    return [note for note in notes if note.is_begin]


@kinds
async def test_as_many_as_the_limit_run_at_once_and_never_more(
    shared_store_url: str, tmp_path: Path, kind: Any
) -> None:
    limited, free = tmp_path / "limited", tmp_path / "free"
    async with workers(shared_store_url, 3):
        await limit(shared_store_url, at_once=4)
        await asyncio.gather(
            run(shared_store_url, kind, limited, full_house=4),
            run(shared_store_url, kind, free, full_house=5, queue="free"),
        )

    notes = read_notes(limited)
    assert len(activities(notes)) == len(activities(read_notes(free))) == INSTANCES * IN_EACH
    assert most_at_once(notes) == 4
    assert most_at_once(read_notes(free)) > 4  # another queue isn't held back


@kinds
async def test_all_workers_are_at_work_on_a_limited_queue(shared_store_url: str, tmp_path: Path, kind: Any) -> None:
    """Five at once and two slots in each of three processes: two of them can't use up what the limit gives, so none of the
    first ones would end."""
    log = tmp_path / "log"
    async with workers(shared_store_url, 3, "--max-activities", "2") as pids:
        await limit(shared_store_url, at_once=5)
        await run(shared_store_url, kind, log, full_house=5)

    notes = read_notes(log)
    shares = Counter(note.pid for note in begins(notes))
    assert most_at_once(notes) == 5
    assert set(shares) == set(pids)
    assert min(shares.values()) >= FULL_HOUSES


@kinds
async def test_no_more_begin_than_so_many_a_second(shared_store_url: str, tmp_path: Path, kind: Any) -> None:
    """The bucket holds one second's worth at the start; the k-th after these begins k / rate later, or after that."""
    log, rate = tmp_path / "log", 40
    async with workers(shared_store_url, 3):
        await limit(shared_store_url, per_second=rate)
        began_at = time.time()
        await run(shared_store_url, kind, log)

    notes = read_notes(log)
    assert len(activities(notes)) == INSTANCES * IN_EACH
    begun = sorted(note.at - began_at for note in begins(notes))
    too_early = [at for place, at in enumerate(begun, start=1) if at < (place - rate) / rate - 0.001]
    assert too_early == []


async def test_what_a_killed_worker_held_of_a_limit_is_free_again(shared_store_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with workers(shared_store_url, 2, "--grace", "0", "--lease", "3") as pids, Client(shared_store_url) as client:
        await limit(shared_store_url, at_once=1)
        await client.start(side_by_side, log, "limited", 2, 1000.0)
        [first] = await wait_for_begins(log, 1)
        os.kill(first.pid, signal.SIGKILL)
        _, second = await wait_for_begins(log, 2)

    assert {first.pid, second.pid} == set(pids)


async def wait_for_begins(log: Path, number: int) -> list[Note]:
    async with asyncio.timeout(SECONDS):
        while not log.exists() or len(found := begins(read_notes(log))) < number:
            await asyncio.sleep(0.01)
    return found


async def test_both_limits_hold_at_once(shared_store_url: str) -> None:
    """How much of them is used is for a quiet machine: `python -m benchmarks --cases limited_queue`."""
    await both_limits_hold(shared_store_url, limited_queue.CASE.quick)


@pytest.mark.soak
async def test_both_limits_hold_for_minutes(shared_store_url: str) -> None:
    """Ten at once and 50 per second on a queue, four workers."""
    await both_limits_hold(shared_store_url, limited_queue.CASE.scale)


async def both_limits_hold(url: str, scale: Mapping[str, int]) -> None:
    measured = await limited_queue.run(url, **scale)
    assert measured.figures["most_at_once"] <= 10
    assert measured.figures["most_too_early_ms"] <= 1
