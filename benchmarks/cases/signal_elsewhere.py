"""A signal from one process to a workflow that waits in another one's memory: until it is there, and until its end is heard of."""

from __future__ import annotations

import asyncio
import time

from benchmarks.case import REMOTE_STORES, SHARED_STORES, Case, Measured, Target, at_most
from benchmarks.cases.signal_latency import PAUSE_SECONDS
from benchmarks.fresh import worker_processes
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch, until_all_wait
from benchmarks.verification import Expected, check
from benchmarks.workload import WAIT_EVENTS, go_on
from perdure import App, Client, Context, workflow


@workflow
async def tell_when(ctx: Context) -> float:
    """When the signal was there: all processes of a machine have one clock."""
    await ctx.signal_channel(go_on).receive()
    return await ctx.side_effect(time.time)


app = App(workflows=[tell_when])


async def run(store: str, *, count: int) -> Measured:
    """`count` of them wait in a worker process; one after the other gets its signal from here."""
    reached: list[float] = []
    ended: list[float] = []
    async with Client(store, app) as client, worker_processes(1, f"{__name__}:app", store):

        async def start(x: int) -> None:
            await client.start(tell_when.with_options(instance_id=f"waits-{x:08d}"))

        await keep_in_flight(count, 50, start)
        await until_all_wait(client)
        with stretch(client) as took:
            for x in range(count):
                await asyncio.sleep(PAUSE_SECONDS)
                began = time.time()
                handle = client.handle(f"waits-{x:08d}", tell_when)
                await handle.signal(go_on, 1)
                reached.append(await handle.result() - began)
                ended.append(time.time() - began)
        until_end = {f"{name}_to_end": value for name, value in percentiles(ended).items()}
        figures = took.per_unit(count) | percentiles(reached) | until_end
        return await measured(client, figures, in_flight=1, pause_ms=PAUSE_SECONDS * 1000)


async def verify(store: str, *, count: int) -> dict[str, int]:
    """All of them, each with its signal."""
    async with Client(store, app) as client:
        return await check(
            client, Expected(workflow=tell_when, count=count, result=lambda _: _AnyTime(), events=_EVENTS)
        )


_EVENTS = (*WAIT_EVENTS[:2], "SideEffectRecorded", WAIT_EVENTS[2])


class _AnyTime:
    """Equal to whatever can be a time of this century."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and 1e9 < other < 5e9

    def __hash__(self) -> int:
        return 0


def _within(milliseconds: float, *stores: str) -> tuple[Target, ...]:
    return tuple(Target(bound=milliseconds, store=store) for store in stores)


CASE = Case(
    name="signal_elsewhere",
    summary="a signal to a workflow that waits in another process: until it is there, until its end is heard of",
    run=run,
    verify=verify,
    measures=(
        at_most("p50_ms", "ms"),
        at_most("p99_ms", "ms", *_within(60, "sqlite"), *_within(20, *REMOTE_STORES)),
        at_most("p50_ms_to_end", "ms"),
        at_most("p99_ms_to_end", "ms"),
    ),
    scale={"count": 200},
    quick={"count": 5},
    stores=SHARED_STORES,
)
