"""Throughput of workflows of ten activities, one after the other."""

from __future__ import annotations

from benchmarks.case import Case, Measured, rate
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch
from benchmarks.verification import Expected, check
from benchmarks.workload import app, events_in_a_row, steps_in_a_row
from perdure import Client, Orchestrator

STEPS = 10


async def run(store: str, *, count: int, in_flight: int) -> Measured:
    """Start `count` workflows, `in_flight` at a time, and wait for each."""
    async with Orchestrator(store, app) as perdure:

        async def one(x: int) -> None:
            await perdure.run(steps_in_a_row.with_options(instance_id=f"row-{x:08d}"), STEPS)

        with stretch(perdure) as took:
            latencies = await keep_in_flight(count, in_flight, one)
        figures = took.per_unit(count) | percentiles(latencies) | {"activities_per_s": STEPS * count / took.seconds}
        return await measured(perdure, figures, in_flight=in_flight)


async def verify(store: str, *, count: int, in_flight: int) -> dict[str, int]:
    """All of them, with every activity."""
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
    name="ten_in_a_row",
    summary="workflows of ten activities one after the other, 200 in flight",
    run=run,
    verify=verify,
    measures=(rate("workflows"),),
    scale={"count": 3_000, "in_flight": 200},
    quick={"count": 100, "in_flight": 20},
)
