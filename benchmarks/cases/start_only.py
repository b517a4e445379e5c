"""A plain client that only starts workflows; no worker runs."""

from __future__ import annotations

from benchmarks.case import Case, Measured, Target, rate
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch
from benchmarks.verification import NotAsCounted
from benchmarks.workload import app, one_activity
from perdure import Client, State


async def run(store: str, *, count: int, in_flight: int) -> Measured:
    """Start `count` workflows, `in_flight` calls of `start` at a time; each is durable when its call returns."""
    async with Client(store, app) as client:

        async def one(x: int) -> None:
            await client.start(one_activity.with_options(instance_id=f"order-{x:08d}"), x)

        with stretch(client) as took:
            latencies = await keep_in_flight(count, in_flight, one)
        return await measured(client, took.per_unit(count) | percentiles(latencies), in_flight=in_flight)


async def verify(store: str, *, count: int, in_flight: int) -> dict[str, int]:
    """All are there and running, by ids, and nothing else is."""
    async with Client(store, app) as client:
        counts = await client.count()
        if counts != {State.RUNNING: count}:
            raise NotAsCounted(f"the store has {counts}, not {count} running ones")
        ids = {instance.instance_id async for instance in client.list(workflow=one_activity)}
        if ids != {f"order-{x:08d}" for x in range(count)}:
            raise NotAsCounted(f"the {len(ids)} ids aren't those that were started")
    return {"instances": count}


CASE = Case(
    name="start_only",
    summary="starting workflows with a client, 50 in flight, without a worker",
    run=run,
    verify=verify,
    measures=(rate("starts", Target(bound=20_000)),),
    scale={"count": 20_000, "in_flight": 50},
    quick={"count": 100, "in_flight": 10},
)
