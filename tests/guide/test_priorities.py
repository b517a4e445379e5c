"""docs/priorities.md on every store: what is begun first when more waits than can run."""

from __future__ import annotations

import asyncio

import pytest

from perdure import App, Client, Context, Worker, activity, activity_context, workflow

begun: list[str] = []


@activity
async def pack(item: str) -> None:
    begun.append(item)


@workflow
async def order(ctx: Context, item: str) -> None:
    await ctx.side_effect(begun.append, f"order of {item}")
    await ctx.execute_activity(pack, item)


@workflow
async def several(ctx: Context, items: list[str], urgent: str) -> None:
    packing = [ctx.execute_activity(pack, item) for item in items]
    await asyncio.gather(*packing, ctx.execute_activity(pack.with_options(priority=5), urgent))


@workflow
async def parent(ctx: Context) -> None:
    await asyncio.gather(
        ctx.execute_sub_workflow(order, "the parent's"),
        ctx.execute_sub_workflow(order.with_options(priority=9), "its own"),
    )


app = App(workflows=[order, several, parent], activities=[pack])


@pytest.fixture(autouse=True)
def _nothing_begun() -> None:
    begun.clear()


async def until(client: Client, url: str, *, workflows_only: bool = False, activities: int = 0) -> None:
    """Have a worker with one slot work until so many activities wait, or until all has ended."""
    queues = () if workflows_only else None
    async with Worker(url, app, max_workflow_tasks=1, max_activities=1, activity_queues=queues):
        while await waiting(client) != activities or (not workflows_only and "running" in await client.count()):
            await asyncio.sleep(0.01)


async def waiting(client: Client) -> int:
    return sum(queue.activity_tasks for queue in (await client.stats()).queues)


async def test_k1_of_the_instances_that_wait_the_highest_priority_begins_first_then_the_oldest(store_url: str) -> None:
    async with Client(store_url, app) as client:
        for item, priority in (("first", 0), ("later", -1), ("second", 0), ("urgent", 3), ("most urgent", 7)):
            await client.start(order.with_options(priority=priority), item)

        await until(client, store_url, workflows_only=True, activities=5)

    assert begun == [f"order of {item}" for item in ("most urgent", "urgent", "first", "second", "later")]


async def test_k1_activities_have_the_priority_of_their_workflow(store_url: str) -> None:
    async with Client(store_url, app) as client:
        for item, priority in (("first", 0), ("second", 0), ("urgent", 3)):
            await client.start(order.with_options(priority=priority), item)
        await until(client, store_url, workflows_only=True, activities=3)
        begun.clear()

        await until(client, store_url)

    assert begun == ["urgent", "first", "second"]


async def test_k1_an_activity_can_be_more_urgent_than_its_workflow(store_url: str) -> None:
    async with Client(store_url, app) as client:
        await client.start(several.with_options(priority=1), ["cup", "spoon"], "medicine")
        await until(client, store_url, workflows_only=True, activities=3)

        await until(client, store_url)

    assert begun == ["medicine", "cup", "spoon"]


async def test_k1_sub_workflows_have_the_priority_of_their_parent_unless_they_have_their_own(store_url: str) -> None:
    async with Client(store_url, app) as client:
        handle = await client.start(parent.with_options(priority=4))
        await until(client, store_url, workflows_only=True, activities=2)

        found = {each.priority async for each in client.list(parent_instance_id=handle.instance_id)}
        assert found == {4, 9}
        await until(client, store_url)

    assert begun[-2:] == ["its own", "the parent's"]


gate: asyncio.Event


@activity
async def hold() -> None:
    begun.append(f"{activity_context().attempt}")
    await gate.wait()


@workflow
async def holding(ctx: Context) -> None:
    await ctx.execute_activity(hold)


async def test_k1_what_runs_is_not_interrupted_by_what_is_more_urgent(store_url: str) -> None:
    global gate  # noqa: PLW0603 - the activity's
    gate = asyncio.Event()
    app = App(workflows=[holding, order], activities=[hold, pack])
    async with Client(store_url, app) as client, Worker(store_url, app, max_activities=1):
        running = await client.start(holding)
        while not begun:
            await asyncio.sleep(0.005)
        urgent = await client.start(order.with_options(priority=9), "urgent")
        while await waiting(client) != 1:
            await asyncio.sleep(0.005)
        assert begun == ["1", "order of urgent"]
        gate.set()
        await running.result()
        await urgent.result()

    assert begun == ["1", "order of urgent", "urgent"]
