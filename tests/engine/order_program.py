"""Run by test_order.py in processes with different hash seeds: prints the histories of workflows that go through sets."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

from perdure.serialization.events import encode_events
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act
from tests.engine.samples import SAMPLES

NAMES = [f"activity-{number}" for number in range(12)]


@workflow
async def abort_of_a_group(ctx: Context) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for name in NAMES:
                group.create_task(act(ctx, name))
            group.create_task(fail(ctx))
    except* ValueError:
        pass


async def fail(ctx: Context) -> None:
    await act(ctx, "first")
    raise ValueError


@workflow
async def sets_from_wait(ctx: Context) -> None:
    tasks = [asyncio.create_task(asyncio.sleep(0, name)) for name in NAMES]
    done, _ = await asyncio.wait(tasks)
    for task in done:
        act(ctx, task.result())
    futures = {act(ctx, name) for name in NAMES}
    for future in futures:
        future.cancel()
    await act(ctx, "first")


@workflow
async def as_completed_of_done_tasks(ctx: Context) -> None:
    tasks = [asyncio.create_task(asyncio.sleep(0, name)) for name in NAMES]
    await asyncio.sleep(1)
    for nearest in asyncio.as_completed(set(tasks)):
        act(ctx, await nearest)


@workflow
async def gathers_and_shields_in_wait(ctx: Context) -> None:
    gathers: list[asyncio.Future[Any]] = [asyncio.gather(asyncio.sleep(0, name), asyncio.sleep(0)) for name in NAMES]
    shields: list[asyncio.Future[Any]] = [
        asyncio.shield(asyncio.create_task(asyncio.sleep(0, [name]))) for name in NAMES
    ]
    done, _ = await asyncio.wait({*gathers, *shields})
    for each in done:
        act(ctx, each.result()[0])


@workflow
async def all_tasks(ctx: Context) -> None:
    tasks = [asyncio.create_task(asyncio.sleep(5), name=name) for name in NAMES]
    for task in asyncio.all_tasks():
        act(ctx, task.get_name())
    await asyncio.wait(tasks)


ORDERS = (abort_of_a_group, sets_from_wait, as_completed_of_done_tasks, gathers_and_shields_in_wait, all_tasks)


def main() -> None:
    dice = random.Random(os.urandom(8))
    for definition in (*ORDERS, *(each.workflow for each in SAMPLES.values())):
        garbage: list[Any] = [bytearray(dice.randrange(1, 2000)) for _ in range(dice.randrange(2000))]
        run = Run(definition)
        if "first" in [each.name for each in run.activities.values()]:
            run.complete("first")
        run.to_end()
        print(definition.name, encode_events(run.history).hex())
        del garbage


if __name__ == "__main__":
    main()
