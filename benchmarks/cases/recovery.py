"""A worker process is killed with -9 in the middle of its work; another one takes over."""

from __future__ import annotations

import time

from benchmarks.case import SHARED_STORES, Case, Measured, at_most
from benchmarks.cases.ten_in_a_row import STEPS
from benchmarks.fresh import worker_processes
from benchmarks.measuring import keep_in_flight, measured, stretch, until
from benchmarks.verification import Expected, check
from benchmarks.workload import app, events_in_a_row, steps_in_a_row
from perdure import Client, Orchestrator, State


async def run(store: str, *, count: int) -> Measured:
    """Let a process work until a quarter has ended, kill it, and go on here: until the first one, until all."""
    async with Client(store, app) as client:

        async def start(x: int) -> None:
            await client.start(steps_in_a_row.with_options(instance_id=f"row-{x:08d}"), STEPS)

        async def has_a_quarter_ended() -> bool:
            return await _ended(client) >= count // 4

        await keep_in_flight(count, 50, start)
        async with worker_processes(1, "benchmarks.workload:app", store) as [process]:
            await until(has_a_quarter_ended, every_seconds=0.005)
            process.kill()
            await process.wait()
    return await _recover(store, count)


async def _recover(store: str, count: int) -> Measured:
    began = time.perf_counter()
    async with Orchestrator(store, app) as perdure:
        before = await _ended(perdure)
        if before == count:
            raise RuntimeError(f"the process had done all {count} before it was killed: give it more")

        async def has_one_more_ended() -> bool:
            return await _ended(perdure) > before

        async def have_all_ended() -> bool:
            return await _ended(perdure) == count

        with stretch(perdure) as took:
            await until(has_one_more_ended, every_seconds=0.002)
            first = time.perf_counter() - began
            await until(have_all_ended)
        figures = took.per_unit(count - before) | {"first_s": first, "all_s": time.perf_counter() - began}
        return await measured(perdure, figures | {"ended_before": float(before)})


async def _ended(client: Client) -> int:
    return (await client.count(workflow=steps_in_a_row)).get(State.COMPLETED, 0)


async def verify(store: str, *, count: int) -> dict[str, int]:
    """All of them; each activity stands once in its history, also where it was run twice."""
    async with Client(store, app) as client:
        return await check(
            client,
            Expected(
                workflow=steps_in_a_row,
                count=count,
                result=lambda _: sum(2 * step for step in range(STEPS)),
                events=events_in_a_row(STEPS),
            ),
        )


CASE = Case(
    name="recovery",
    summary="kill -9 in the midst of 2,000 workflows; from the next worker's start to the first end, and to all",
    run=run,
    verify=verify,
    measures=(at_most("first_s", "s"), at_most("all_s", "s")),
    scale={"count": 2_000},
    quick={"count": 600},
    stores=SHARED_STORES,  # memory dies with its process
)
