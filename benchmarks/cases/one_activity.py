"""Throughput of workflows of one activity."""

from __future__ import annotations

from benchmarks.case import Case, Measured, Target, at_most, rate
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch
from benchmarks.verification import Expected, check, number_of
from benchmarks.workload import ONE_ACTIVITY_EVENTS, app, one_activity
from perdure import Client, Orchestrator


async def run(store: str, *, count: int, in_flight: int) -> Measured:
    """Start `count` workflows, `in_flight` at a time, and wait for each."""
    async with Orchestrator(store, app) as perdure:

        async def one(x: int) -> None:
            await perdure.run(one_activity.with_options(instance_id=f"order-{x:08d}"), x)

        with stretch(perdure) as took:
            latencies = await keep_in_flight(count, in_flight, one)
        return await measured(perdure, took.per_unit(count) | percentiles(latencies), in_flight=in_flight)


async def verify(store: str, *, count: int, in_flight: int) -> dict[str, int]:
    """All of them, each with its result."""
    async with Client(store, app) as client:
        return await check(client, expected("order-", count))


def expected(id_prefix: str, count: int) -> Expected:
    """What such a run leaves behind."""
    return Expected(
        workflow=one_activity,
        count=count,
        result=lambda instance_id: 2 * number_of(instance_id) + 1,
        events=ONE_ACTIVITY_EVENTS,
        id_prefix=id_prefix,
    )


CASE = Case(
    name="one_activity",
    summary="workflows of one activity, 200 in flight",
    run=run,
    verify=verify,
    measures=(
        rate(
            "workflows",
            Target(bound=10_000),
            Target(bound=12_000, store="memory"),
            Target(bound=30, times_peer="dbos"),
            Target(bound=0.35, times_peer="floor"),
        ),
        at_most("p99_ms", "ms"),
        at_most("cpu_us_per_unit", "us"),
    ),
    scale={"count": 20_000, "in_flight": 200},
    remote_scale={"count": 10_000},
    quick={"count": 120, "in_flight": 20},
)
