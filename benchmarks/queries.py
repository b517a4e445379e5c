"""Queries of instances that nobody has in memory: `python -m benchmarks.queries [--store URL]`.

So many instances with a history of a thousand events each are asked, by a client of its own, of a worker that keeps nothing in
memory, so that each answer is a whole replay. Beside it short workflows run one after another, with and without the queries: what a
query costs others is seen in the slowest ones.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import timedelta
from statistics import quantiles

from msgspec.structs import replace

from perdure import App, Client, Context, Handle, Worker, activity, workflow
from perdure.backends.connect import connect
from perdure.backends.exports import from_exported, to_exported
from perdure.backends.protocol import Backend
from perdure.clock import random_id
from perdure.model.inspection import InstanceFilter

EVENTS = 1_000
AT_ONCE = 16
LONG = timedelta(minutes=10)


class Progress:
    """What is asked for."""

    done = 0

    def read(self) -> int:
        """How far it is."""
        return self.done


@activity
async def step(number: int) -> int:
    """One of many."""
    return number


@workflow
async def steps(ctx: Context, number: int) -> None:
    """Two events for each step; then it waits."""
    progress = Progress()
    ctx.on_query(progress.read)
    for _ in range(number):
        await ctx.execute_activity(step, 0)
        progress.done += 1
    await ctx.wait_until(lambda: False)


@workflow
async def one_step(ctx: Context) -> None:
    """What goes on beside it."""
    await ctx.execute_activity(step, 0)


app = App(workflows=[steps, one_step], activities=[step])


async def ask_all(handles: list[Handle[None]]) -> float:
    """Each once, some at a time; how many seconds it took."""
    began_at, free = time.perf_counter(), asyncio.Semaphore(AT_ONCE)

    async def ask(handle: Handle[None]) -> None:
        async with free:
            assert await handle.with_options(timeout=LONG).query(Progress.read) == EVENTS // 2

    await asyncio.gather(*map(ask, handles))
    return time.perf_counter() - began_at


async def run_beside(client: Client, seconds: float) -> None:
    """Print how long workflows take now, one after another for so long."""
    took: list[float] = []
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at:
        began_at = time.perf_counter()
        await client.run(one_step)
        took.append(1_000 * (time.perf_counter() - began_at))
    cuts = quantiles(took, n=100)
    print(f"    workflows of one step, ms: median {cuts[49]:.2f}, p99 {cuts[98]:.2f}, longest {max(took):.2f}")


async def copies_of(store: Backend, instance_id: str, number: int) -> list[str]:
    """As many as the store takes in like an instance that was moved there: nobody has to take all their steps."""
    (one,) = [each async for each in store.export_instances(InstanceFilter(id_prefix=instance_id))]
    snapshot, ids = from_exported(one), []
    for place in range(number):
        execution_id = random_id()
        row = replace(snapshot.instance, instance_id=f"copy-{place}", execution_id=execution_id, request_id=random_id())
        copy = replace(
            snapshot,
            instance=row,
            executions=[replace(each, execution_id=execution_id) for each in snapshot.executions],
            events=[replace(each, execution_id=execution_id) for each in snapshot.events],
        )
        assert await store.import_instance(to_exported(copy))
        ids.append(row.instance_id)
    return ids


async def measure(url: str, instances: int) -> None:
    """Print the rate, and what others feel of it."""
    store = connect(url)
    await store.open()
    async with Client(store) as client:
        async with Worker(store, app):
            first = await client.start(steps, EVENTS // 2)
            while (await first.info()).history_length <= EVENTS:  # noqa: ASYNC110 - a store has no event
                await asyncio.sleep(0.2)
        copies = await copies_of(store, first.instance_id, instances)
        handles = [client.handle(instance_id, steps) for instance_id in copies]
        length = (await handles[-1].info()).history_length
        print(f"{instances:,} instances of {length:,} events, none in memory", flush=True)
        async with Worker(store, app, cache_size=0):
            await run_beside(client, 5)
            asking = asyncio.create_task(ask_all(handles))
            await run_beside(client, 5)
            seconds = await asking
            print(f"all answered in {seconds:.1f} s: {instances / seconds:,.0f} a second")
    await store.close()


def main() -> None:
    """For the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a URL; a SQLite file by default")
    parser.add_argument("--instances", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options.store or f"sqlite:///{folder}/queries.db", options.instances))


if __name__ == "__main__":
    main()
