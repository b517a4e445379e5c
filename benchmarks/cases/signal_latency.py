"""From a signal to the end of the workflow that waits for it."""

from __future__ import annotations

import asyncio
import time

from benchmarks.case import Case, Measured, Target, at_most
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch, until_all_wait
from benchmarks.verification import Expected, check, number_of
from benchmarks.workload import WAIT_EVENTS, app, go_on, wait_for_signal
from perdure import Client, Orchestrator

PAUSE_SECONDS = 0.01


async def run(store: str, *, count: int) -> Measured:
    """`count` of them wait in memory; one after the other gets its signal."""
    latencies: list[float] = []
    async with Orchestrator(store, app) as perdure:

        async def start(x: int) -> None:
            await perdure.start(wait_for_signal.with_options(instance_id=f"waits-{x:08d}"), x)

        await keep_in_flight(count, 50, start)
        await until_all_wait(perdure)
        with stretch(perdure) as took:
            for x in range(count):
                await asyncio.sleep(PAUSE_SECONDS)
                began = time.perf_counter()
                handle = perdure.handle(f"waits-{x:08d}", wait_for_signal)
                await handle.signal(go_on, 1)
                await handle.result()
                latencies.append(time.perf_counter() - began)
        figures = took.per_unit(count) | percentiles(latencies)
        return await measured(perdure, figures, in_flight=1, pause_ms=PAUSE_SECONDS * 1000)


async def verify(store: str, *, count: int) -> dict[str, int]:
    """All of them, each with its signal."""
    async with Client(store, app) as client:
        return await check(client, expected(count))


def expected(count: int) -> Expected:
    """Workflows that waited and got a 1."""
    return Expected(
        workflow=wait_for_signal,
        count=count,
        result=lambda instance_id: number_of(instance_id) + 1,
        events=WAIT_EVENTS,
    )


CASE = Case(
    name="signal_latency",
    summary="a signal to a waiting workflow, one at a time, until the workflow has ended",
    run=run,
    verify=verify,
    measures=(at_most("p50_ms", "ms", Target(bound=1.0), Target(bound=1.0, store="memory")), at_most("p99_ms", "ms")),
    scale={"count": 300},
    quick={"count": 5},
)
