"""Ended instances are pruned by another process while workflows come at a steady pace: what these feel of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks import fresh
from benchmarks.case import Case, Measured, Target, at_least, at_most
from benchmarks.cases.one_activity import expected
from benchmarks.filling import fill
from benchmarks.measuring import TIME_LIMIT_SECONDS, measured, percentiles
from benchmarks.stores.strays import strays
from benchmarks.verification import NotAsCounted, check
from benchmarks.workload import app, go_on, one_activity, wait_for_signal
from perdure import Client, Orchestrator

_GO = "waiting-00000000"
"""What the other process waits for before it begins to prune."""
_AT_LEAST = 20  # workflows, or there is nothing to be said of them


async def run(store: str, *, ended: int, per_second: int, count: int) -> Measured:
    """So many workflows before it, then for as long as it takes, and so many after it."""
    await fill(store, ended=ended, waiting=1)
    pruning = asyncio.create_task(fresh.call(prune, store=store))
    async with Orchestrator(store, app) as perdure:
        pace = _Pace(perdure, per_second)
        before = await pace.keep(lambda begun: begun < count)
        await perdure.signal(_GO, go_on, 1)
        during = await pace.keep(lambda begun: begun < _AT_LEAST or not pruning.done())
        after = await pace.keep(lambda begun: begun < count)
        found = await pruning
        calm, busy = percentiles([*before, *after]), percentiles(during)
        figures = {
            "p99_ratio": busy["p99_ms"] / calm["p99_ms"],
            "p50_ratio": busy["p50_ms"] / calm["p50_ms"],
            "p99_calm_ms": calm["p99_ms"],
            "p99_pruning_ms": busy["p99_ms"],
            "pruned_per_second": found["removed"] / found["seconds"],
        }
        return await measured(perdure, figures, ended=ended, per_second=per_second)


class _Pace:
    """Workflows that begin so many a second, whether those before them have ended or not."""

    def __init__(self, perdure: Orchestrator, per_second: int) -> None:
        self._perdure = perdure
        self._apart = 1 / per_second
        self._number = 0

    async def keep(self, goes_on: Callable[[int], bool]) -> list[float]:
        """How long each took, from when it was to begin; `goes_on` is told how many have begun."""
        latencies, begun, first = list[float](), 0, time.perf_counter()

        async def one(x: int, due: float) -> None:
            await self._perdure.run(one_activity.with_options(instance_id=f"order-{x:08d}"), x)
            latencies.append(time.perf_counter() - due)

        async with asyncio.timeout(TIME_LIMIT_SECONDS), asyncio.TaskGroup() as group:
            while goes_on(begun):
                due = first + begun * self._apart
                await asyncio.sleep(due - time.perf_counter())
                group.create_task(one(self._number, due))
                begun, self._number = begun + 1, self._number + 1
        return latencies


async def prune(store: str) -> dict[str, Any]:
    """In a process of its own, all those that the store was filled with."""
    async with Client(store, app) as client:
        await client.handle(_GO, wait_for_signal).result()
        began = time.perf_counter()
        removed = await client.prune(id_prefix="ended-")
        return {"removed": removed, "seconds": time.perf_counter() - began}


async def verify(store: str, *, ended: int, per_second: int, count: int) -> dict[str, int]:
    """No row of those that were removed is left, in any table, and all the others are there."""
    async with Client(store, app) as client:
        left, come = await client.count(id_prefix="ended-"), await client.count(id_prefix="order-")
        if left:
            raise NotAsCounted(f"of {ended} that were to be pruned there are {left}")
        number = sum(come.values())
        if number < 2 * count + _AT_LEAST:
            raise NotAsCounted(f"{number} instances came, not {2 * count + _AT_LEAST} or more")
        checked = await check(client, expected("order-", number), is_all=False)
    if found := await strays(store):
        raise NotAsCounted(f"rows without an instance: {found}")
    return checked


CASE = Case(
    name="pruning",
    summary="500 workflows a second come while another process prunes ended instances",
    run=run,
    verify=verify,
    measures=(
        at_most("p99_ratio", "x", *(Target(bound=2, store=store) for store in ("sqlite", "postgresql"))),
        at_most("p99_pruning_ms", "ms"),
        at_least("pruned_per_second", "instances/s"),
    ),
    scale={"ended": 200_000, "per_second": 500, "count": 10_000},
    quick={"ended": 300, "per_second": 50, "count": 20},
    stores=("sqlite", "postgresql"),
    rounds=1,
)
