"""Queries of instances that nobody has in memory, and what others feel of them.

They all have a history of a thousand events. The worker that is asked keeps nothing in memory, so that each answer is a whole replay.
Beside it workflows of one activity run in the same process, one after another: with no query, with one at a time, and with many.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from benchmarks.case import SHARED_STORES, Case, Measured, Target, at_least, at_most
from benchmarks.cases.one_activity import expected as expected_beside
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch, until
from benchmarks.verification import Expected, check
from benchmarks.workload import double, go_on, one_activity
from perdure import App, Client, Context, Handle, Worker, workflow
from perdure.backends.exports import from_exported, to_exported
from perdure.backends.protocol import Backend
from perdure.clock import random_id
from perdure.model.inspection import InstanceFilter

_AT_ONCE = 16
_TIMES_ALONE = 20
_LONG_SECONDS = 600.0


class Progress:
    """What is asked for."""

    done = 0

    def read(self) -> int:
        """How far it is."""
        return self.done


@workflow
async def steps_to_be_asked(ctx: Context, steps: int) -> int:
    """Two events for each step; then it waits."""
    progress = Progress()
    ctx.on_query(progress.read)
    for step in range(steps):
        await ctx.execute_activity(double, step)
        progress.done += 1
    return await ctx.signal_channel(go_on).receive()


app = App(workflows=[steps_to_be_asked, one_activity], activities=[double])


async def run(store: str, *, count: int, events: int, beside: int) -> Measured:
    """Ask `count` instances; three times, run `beside` workflows."""
    async with Client(store, app) as client:
        handles = await _instances(client, count, events // 2)
        async with Worker(client.backend, app, cache_size=0):

            async def ask(x: int) -> None:
                assert await handles[x % count].query(Progress.read) == events // 2

            runs = [await _seconds(ask, x) for x in range(min(_TIMES_ALONE, count))]
            with stretch(client) as took:
                await keep_in_flight(count, _AT_ONCE, ask)
            alone = await _run_beside(client, "alone", beside)
            async with _asking(ask, 1):
                one = await _run_beside(client, "one", beside)
            async with _asking(ask, _AT_ONCE):
                many = await _run_beside(client, "many", beside)
        await _end_all(client, handles)
        run_ms = statistics.median(runs) * 1000
        figures = took.per_unit(count) | {
            "query_ms": run_ms,
            "alone_p99_ms": alone["p99_ms"],
            "delay_p50_ms": one["p50_ms"] - alone["p50_ms"],
            "delay_p99_ms": one["p99_ms"] - alone["p99_ms"],
            "delay_to_run": (one["p50_ms"] - alone["p50_ms"]) / run_ms,
            "slower_beside_many": many["p50_ms"] / alone["p50_ms"],
        }
        return await measured(client, figures, in_flight=_AT_ONCE, events=events, execution_cache=0)


async def _instances(client: Client, count: int, steps: int) -> list[Handle[int]]:
    """One, and copies of it, which the store takes in like instances that were moved there: nobody has to take all their steps."""
    async with Worker(client.backend, app, cache_size=0):
        first = await client.start(steps_to_be_asked.with_options(instance_id=f"asked-{0:08d}"), steps)

        async def has_come_to_its_wait() -> bool:
            info = await first.info()
            return info.history_length == 1 + 2 * steps and info.worker is None

        await until(has_come_to_its_wait)
    await _copy(client.backend, first.instance_id, count)
    handles = [client.handle(f"asked-{x:08d}", steps_to_be_asked) for x in range(count)]
    return [handle.with_options(timeout=_LONG_SECONDS) for handle in handles]


async def _copy(store: Backend, instance_id: str, count: int) -> None:
    (one,) = [each async for each in store.export_instances(InstanceFilter(id_prefix=instance_id))]
    snapshot = from_exported(one)
    for x in range(1, count):
        execution_id = random_id()
        row = replace(
            snapshot.instance, instance_id=f"asked-{x:08d}", execution_id=execution_id, request_id=random_id()
        )
        copy = replace(
            snapshot,
            instance=row,
            executions=[replace(each, execution_id=execution_id) for each in snapshot.executions],
            events=[replace(each, execution_id=execution_id) for each in snapshot.events],
        )
        assert await store.import_instance(to_exported(copy))


async def _seconds(ask: Callable[[int], Awaitable[None]], x: int) -> float:
    began = time.perf_counter()
    await ask(x)
    return time.perf_counter() - began


@asynccontextmanager
async def _asking(ask: Callable[[int], Awaitable[None]], at_once: int) -> AsyncIterator[None]:
    """So many ask one query after the other, for as long as this lasts."""

    async def go_on_asking(x: int) -> None:
        while True:
            await ask(x)
            x += at_once

    askers = [asyncio.create_task(go_on_asking(x)) for x in range(at_once)]
    try:
        yield
    finally:
        for asker in askers:
            asker.cancel()
        await asyncio.wait(askers)


async def _run_beside(client: Client, name: str, count: int) -> dict[str, float]:
    async def one(x: int) -> None:
        await client.run(one_activity.with_options(instance_id=f"{name}-{x:08d}"), x)

    return percentiles(await keep_in_flight(count, 1, one))


async def _end_all(client: Client, handles: list[Handle[int]]) -> None:
    async with Worker(client.backend, app):

        async def end(x: int) -> None:
            await handles[x].signal(go_on, x)
            await handles[x].result()

        await keep_in_flight(len(handles), 200, end)


async def verify(store: str, *, count: int, events: int, beside: int) -> dict[str, int]:
    """Those that were asked went on afterwards, as if they hadn't been; and what ran beside."""
    history = ("ExecutionStarted", *("ActivityScheduled", "ActivityCompleted") * (events // 2))
    asked = Expected(
        workflow=steps_to_be_asked,
        count=count,
        result=lambda instance_id: int(instance_id.removeprefix("asked-")),
        events=(*history, "SignalReceived", "ExecutionCompleted"),
    )
    async with Client(store, app) as client:
        return await check(client, asked, *(expected_beside(f"{name}-", beside) for name in ("alone", "one", "many")))


CASE = Case(
    name="queries",
    summary="queries of instances with 1,000 events that aren't in memory; workflows beside them in the same process",
    run=run,
    verify=verify,
    measures=(
        at_least("rate", "queries/s"),
        at_most("query_ms", "ms"),
        at_most("delay_to_run", "of a query's run", *(Target(bound=1, store=store) for store in SHARED_STORES)),
        at_most("delay_p99_ms", "ms"),
        at_most("slower_beside_many", "x"),
    ),
    scale={"count": 1_000, "events": 1_000, "beside": 200},
    remote_scale={"count": 300},
    quick={"count": 3, "events": 40, "beside": 3},
    stores=SHARED_STORES,
    rounds=1,
)
