"""A worker process that tests kill: `python -m tests.otel.traced_worker STORE QUEUE FILE CACHE_SIZE`; its spans go into the file."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from examples.traces.spans import write_spans_to
from perdure import App, Context, Signal, Worker, activity, workflow
from perdure.otel import OpenTelemetry, get_tracer

go = Signal("go", str)
tracer = get_tracer("tests")


@activity
async def pack(item: str) -> str:
    with tracer.start_as_current_span("find a box"):
        return item


@workflow
async def ship(ctx: Context, item: str) -> str:
    with tracer.start_as_current_span("on its way"):
        await ctx.signal_channel(go).receive()
        return await ctx.execute_activity(pack, item)


@workflow
async def order(ctx: Context) -> str:
    with tracer.start_as_current_span("get it ready"):
        await ctx.execute_activity(pack, "a cup")
        await ctx.signal_channel(go).receive()
        await ctx.sleep(timedelta(milliseconds=10))
    return await ctx.execute_sub_workflow(ship.with_options(queue="warehouse", instance_id="parcel"), "a cup")


app = App(workflows=[order, ship], activities=[pack], telemetry=OpenTelemetry())


async def main() -> None:
    store, queue, path, cache_size = sys.argv[1:]
    write_spans_to(Path(path), queue)
    await Worker(store, app, queues=[queue], cache_size=int(cache_size)).run_forever()


if __name__ == "__main__":
    asyncio.run(main())
