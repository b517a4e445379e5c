"""How long one workflow takes when nothing else happens."""

from __future__ import annotations

import asyncio
import time

from benchmarks.case import Case, Measured, Target, at_most
from benchmarks.cases.one_activity import expected
from benchmarks.measuring import measured, percentiles, stretch
from benchmarks.verification import check
from benchmarks.workload import app, one_activity
from perdure import Client, Orchestrator

PAUSE_SECONDS = 0.01
"""Between two, so that the worker and the store have come to rest."""


async def run(store: str, *, count: int) -> Measured:
    """One after the other, from the call of `run` to the result."""
    latencies: list[float] = []
    async with Orchestrator(store, app) as perdure:
        with stretch(perdure) as took:
            for x in range(count):
                await asyncio.sleep(PAUSE_SECONDS)
                began = time.perf_counter()
                await perdure.run(one_activity.with_options(instance_id=f"idle-{x:08d}"), x)
                latencies.append(time.perf_counter() - began)
        figures = took.per_unit(count) | percentiles(latencies)
        return await measured(perdure, figures, in_flight=1, pause_ms=PAUSE_SECONDS * 1000)


async def verify(store: str, *, count: int) -> dict[str, int]:
    """All of them."""
    async with Client(store, app) as client:
        return await check(client, expected("idle-", count))


CASE = Case(
    name="idle_latency",
    summary="one workflow of one activity at a time, from the call to the result",
    run=run,
    verify=verify,
    measures=(at_most("p50_ms", "ms", Target(bound=1.5), Target(bound=1.5, store="memory")), at_most("p99_ms", "ms")),
    scale={"count": 300},
    remote_scale={"count": 200},
    quick={"count": 5},
)
