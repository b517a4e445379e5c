"""W2: what asyncio keeps in sets comes in the same order on every run, and thousands of loops don't collide."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from perdure.engine.loop import WorkflowLoop
from perdure.engine.tasks import DurableTask
from perdure.errors import NotInWorkflow
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act
from tests.engine.order_program import ORDERS

ROOT = Path(__file__).parents[2]


def test_histories_are_the_same_under_every_hash_seed() -> None:
    """W2: byte for byte, with garbage on the heap: addresses and string hashes differ in each process."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.engine.order_program"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in ("0", "1", "2", "random", "random")
    ]
    outputs = Counter(run.communicate(timeout=60)[0] for run in runs)
    assert [run.returncode for run in runs] == [0] * 5
    assert len(outputs) == 1
    assert len(next(iter(outputs)).splitlines()) > len(ORDERS) + 20


@pytest.mark.parametrize("definition", ORDERS, ids=lambda each: each.name)
def test_an_order_out_of_a_set_replays(definition: object) -> None:
    """W2, E2: in a process where the addresses are others already."""
    run = Run(definition)  # type: ignore[arg-type]
    if run.scheduled()[-1:] == ["first"]:
        run.complete("first")
    run.to_end()
    keep = []
    for _ in range(10):
        keep.append([object() for _ in range(1000)])
        run.assert_replays()


def test_a_group_aborts_its_tasks_in_the_order_of_their_creation() -> None:
    """W2: the abort goes through a set."""

    @workflow
    async def aborts(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(act(ctx, str(number)))

    run = Run(aborts)
    run.fail("7", ValueError())
    cancelled = [each.number for each in run.history if type(each).__name__ == "ActivityCancelled"]
    assert cancelled == [number for number in range(1, 21) if number != 8]


@pytest.mark.parametrize("count", [1, 3])
def test_as_completed_over_coroutines_is_refused_with_a_way_out(count: int) -> None:
    """W2: it would start them in no fixed order."""

    @workflow
    async def unordered(ctx: Context) -> str:
        coroutines = [asyncio.sleep(1) for _ in range(count)]
        try:
            for nearest in asyncio.as_completed(coroutines):
                await nearest
        except NotInWorkflow as problem:
            return str(problem)
        finally:
            for each in coroutines:
                each.close()
        return "not refused"

    run = Run(unordered)
    assert "create_task" in run.result
    assert "TimerSet" not in run.kinds()


def test_ensure_future_outside_of_as_completed_takes_coroutines() -> None:
    """W2: gather, wait_for, shield and ensure_future keep an order."""

    @workflow
    async def ordered(ctx: Context) -> list[object]:
        return [
            *await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)),
            await asyncio.shield(asyncio.sleep(0, 3)),
            await asyncio.wait_for(asyncio.sleep(0, 4), 5),
            await asyncio.ensure_future(asyncio.sleep(0, 5)),
        ]

    assert Run(ordered).result == [1, 2, 3, 4, 5]


class Owner:
    now = 0
    started_at = 0

    def set_loop_timer(self, *_: object) -> asyncio.TimerHandle:
        raise AssertionError

    def report(self, *_: object) -> None: ...


def test_twenty_thousand_loops_have_no_two_tasks_of_one_hash() -> None:
    """W2: up to 3.13 asyncio keeps the tasks of all loops in one set, which equal hashes make quadratic."""
    hashes: Counter[int] = Counter()
    for number in range(20_000):
        loop = WorkflowLoop(Owner(), number.to_bytes(16))
        for _ in range(3):
            hashes[hash(loop.create_future())] += 1
    assert len(hashes) > 60_000 - 10  # crc32 has collisions: two in 20,000 ids are to be expected at most


def probes(hashes: list[int], bits: int = 17) -> float:
    """How many places CPython's set looks at for each of these, on average, in a table of 2**bits."""
    mask, looked_at = (1 << bits) - 1, 0
    table = [False] * (mask + 1)
    for each in hashes:
        place, perturb, is_placed = each & mask, each, False
        while not is_placed:
            for step in range(10 if place + 9 <= mask else 1):
                looked_at += 1
                if not table[place + step]:
                    table[place + step] = is_placed = True
                    break
            perturb >>= 5
            place = (place * 5 + 1 + perturb) & mask
    return looked_at / len(hashes)


def test_asyncios_set_of_all_tasks_finds_each_of_twenty_thousand_in_a_bounded_number_of_steps() -> None:
    """W2: counted by a model of the set. The running number alone would be quadratic."""
    bases = [WorkflowLoop(Owner(), number.to_bytes(16)).hash_base for number in range(20_000)]
    assert probes([base + 1 for base in bases]) < 64
    assert probes([1 for _ in bases[:2000]]) > 900  # each one goes by all the others


def test_tasks_of_an_ended_execution_leave_asyncios_set() -> None:
    """E3: nothing piles up there."""

    @workflow
    async def waits(ctx: Context) -> None:
        asyncio.create_task(asyncio.sleep(100))
        await act(ctx, "a")

    before = sum(isinstance(each, DurableTask) for each in gc.get_objects())
    for _ in range(50):
        run = Run(waits)
        run.execution.close()
        run = Run(waits)
        run.complete("a")
    del run
    from tests.engine import harness

    harness.close_open()
    gc.collect()
    assert sum(isinstance(each, DurableTask) for each in gc.get_objects()) <= before
