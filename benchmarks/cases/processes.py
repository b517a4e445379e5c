"""One client, and worker processes on one store: one, two, four."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from benchmarks.case import SHARED_STORES, Case, Measured, Target, at_least, at_most
from benchmarks.fresh import worker_processes
from benchmarks.measuring import children_cpu_seconds, keep_in_flight, measured, percentiles, stretch, until
from benchmarks.verification import Expected, check
from benchmarks.workload import ONE_ACTIVITY_EVENTS
from perdure import App, Client, Context, activity, workflow


@activity
async def whoami() -> int:
    """The process that works here."""
    return os.getpid()


@workflow
async def who_did_it(ctx: Context) -> int:
    """The process of its activity."""
    return await ctx.execute_activity(whoami)


app = App(workflows=[who_did_it], activities=[whoami])


async def run(store: str, *, count: int, in_flight: int, most: int) -> Measured:
    """The same work with 1, 2, 4 … worker processes, one set after the other, on one file."""
    figures: dict[str, float] = {}
    async with Client(store, app) as client:
        for workers in _numbers(most):
            figures |= await _with_workers(client, store, workers, count, in_flight)
        figures |= {"rate": figures["rate_2"], "two_to_one": figures["rate_2"] / figures["rate_1"]}
        return await measured(client, figures, in_flight=in_flight, worker_options="defaults")


def _numbers(most: int) -> list[int]:
    return [number for number in (1, 2, 4, 8) if number <= most]


async def _with_workers(client: Client, store: str, workers: int, count: int, in_flight: int) -> dict[str, float]:
    """The rate, the tail, and the share of the worker that did the least."""
    shares: Counter[int] = Counter()

    async def one(x: int) -> None:
        shares[await client.run(who_did_it.with_options(instance_id=f"by-{workers}-{x:08d}"))] += 1

    async def are_all_there() -> bool:
        return sum(worker.is_alive for worker in (await client.stats()).workers) == workers

    cpu = children_cpu_seconds()
    async with worker_processes(workers, f"{__name__}:app", store):
        await until(are_all_there)
        with stretch(client) as took:
            latencies = await keep_in_flight(count, in_flight, one)
    cpu_seconds = took.cpu_seconds + children_cpu_seconds() - cpu  # with what starting the workers took
    least = min(shares.values()) / count if len(shares) == workers else 0.0
    figures = {"rate": count / took.seconds, "p99_ms": percentiles(latencies)["p99_ms"], "least_share": least}
    figures["cpu_us_per_unit"] = cpu_seconds / count * 1e6
    return {f"{name}_{workers}": value for name, value in figures.items()}


async def verify(store: str, *, count: int, in_flight: int, most: int) -> dict[str, int]:
    """All of each set; the results are process ids, and those of the workers that were counted."""
    async with Client(store, app) as client:
        results = _AnyProcess()
        return await check(client, *(_expected(workers, count, results) for workers in _numbers(most)))


class _AnyProcess:
    """Equal to whatever can be the id of a process."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other > 1

    def __hash__(self) -> int:
        return 0


def _expected(workers: int, count: int, result: Any) -> Expected:
    return Expected(
        workflow=who_did_it,
        count=count,
        result=lambda _: result,
        events=ONE_ACTIVITY_EVENTS,
        id_prefix=f"by-{workers}-",
    )


CASE = Case(
    name="processes",
    summary="one client, 200 workflows in flight, 1, 2 and 4 worker processes on one file",
    run=run,
    verify=verify,
    measures=(
        at_least("rate", "workflows/s with 2"),
        at_least("rate_1", "workflows/s"),
        at_least("rate_4", "workflows/s"),
        at_least("two_to_one", "x", Target(bound=1.0)),
        at_most("p99_ms_2", "ms", Target(bound=100)),
        at_least("least_share_2", "of all", Target(bound=0.3)),
    ),
    scale={"count": 6_000, "in_flight": 200, "most": 4},
    quick={"count": 60, "in_flight": 20, "most": 4},
    stores=SHARED_STORES,  # memory is one process's
)
