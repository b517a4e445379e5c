"""Two processes on one store, each of which starts workflows of one activity and runs them: 200 in flight over both."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from benchmarks import fresh
from benchmarks.case import SHARED_STORES, Case, Measured, Target, at_least, at_most, rate
from benchmarks.cases.one_activity import expected
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch
from benchmarks.verification import check
from benchmarks.workload import app, one_activity
from perdure import Client, Orchestrator

_WORKERS = 2
_LEAD_SECONDS = 2.0
"""So long a process may take until it is connected."""


async def run(store: str, *, count: int, in_flight: int) -> Measured:
    """Half of `count` and of `in_flight` for each; from the first one's begin to the last one's end."""
    async with Client(store, app):  # the schema is there
        begin_at = time.time() + _LEAD_SECONDS
        share = {"count": count // _WORKERS, "in_flight": in_flight // _WORKERS}
        parts = await asyncio.gather(
            *(fresh.call(work, store=store, name=f"w{n}", begin_at=begin_at, **share) for n in range(_WORKERS))
        )
    figures = [part["figures"] for part in parts]
    seconds = max(each["ended_at"] for each in figures) - min(each["began_at"] for each in figures)
    return Measured(
        figures={
            "rate": count / seconds,
            "seconds": seconds,
            "cpu_us_per_unit": sum(each["cpu_us_per_unit"] for each in figures) / _WORKERS,
            "peak_rss_mb": max(each["peak_rss_mb"] for each in figures),
            "p50_ms": max(each["p50_ms"] for each in figures),
            "p99_ms": max(each["p99_ms"] for each in figures),
            "slower_to_faster": min(each["rate"] for each in figures) / max(each["rate"] for each in figures),
        },
        settings=parts[0]["settings"] | {"processes": _WORKERS, "in_flight_of_each": share["in_flight"]},
    )


async def work(store: str, name: str, begin_at: float, count: int, in_flight: int) -> dict[str, Any]:
    """One of the processes."""
    async with Orchestrator(store, app) as perdure:

        async def one(x: int) -> None:
            await perdure.run(one_activity.with_options(instance_id=f"{name}-{x:08d}"), x)

        await asyncio.sleep(begin_at - time.time())
        began_at = time.time()
        with stretch(perdure) as took:
            latencies = await keep_in_flight(count, in_flight, one)
        figures = took.per_unit(count) | percentiles(latencies) | {"began_at": began_at, "ended_at": time.time()}
        done: dict[str, Any] = msgspec.to_builtins(await measured(perdure, figures))
        return done


async def verify(store: str, *, count: int, in_flight: int) -> dict[str, int]:
    """What each has started."""
    async with Client(store, app) as client:
        return await check(client, *(expected(f"w{n}-", count // _WORKERS) for n in range(_WORKERS)))


CASE = Case(
    name="two_workers",
    summary="workflows of one activity, two processes that each start and run them, 100 in flight in each",
    run=run,
    verify=verify,
    measures=(
        rate(
            "workflows",
            Target(bound=6_000, store="postgresql"),
            Target(bound=4_000, store="mariadb"),
            Target(bound=3_000, store="mysql"),
            Target(bound=6_000, store="redis"),
        ),
        at_most("p50_ms", "ms"),
        at_most("p99_ms", "ms"),
        at_least("slower_to_faster", "x"),
    ),
    scale={"count": 20_000, "in_flight": 200},
    remote_scale={"count": 10_000},
    quick={"count": 60, "in_flight": 20},
    stores=SHARED_STORES,
)
