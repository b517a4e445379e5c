"""docs/tags.md on every store: finding instances by what they were started with."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from perdure import App, Client, ConfigurationError, Context, Orchestrator, Signal, State, workflow

go = Signal("go")


@workflow
async def order(ctx: Context, item: str) -> str:
    await ctx.signal_channel(go).receive()
    return item


@workflow
async def quick(ctx: Context) -> None: ...


@workflow
async def rounds(ctx: Context, left: int) -> None:
    await ctx.signal_channel(go).receive()
    if left:
        ctx.continue_as_new(rounds, left - 1)


@workflow
async def parent(ctx: Context) -> None:
    await ctx.execute_sub_workflow(quick.with_options(instance_id="plain"))
    await ctx.execute_sub_workflow(quick.with_options(instance_id="tagged", tags={"customer": "8"}))


app = App(workflows=[order, quick, rounds, parent])


async def ids(client: Client, **filters: object) -> list[str]:
    return [each.instance_id async for each in client.list(**filters)]  # type: ignore[arg-type]


async def start_some(client: Client) -> None:
    for name, tags in {
        "a": {"customer": "7", "country": "PT"},
        "b": {"customer": "7", "country": "ES"},
        "c": {"customer": "70"},
        "d": {},
    }.items():
        await client.start(order.with_options(instance_id=name, tags=tags), "cup")


async def test_c1_all_tags_that_are_asked_for_must_be_there_and_equal(store_url: str) -> None:
    async with Client(store_url, app) as client:
        await start_some(client)

        assert await ids(client, tags={"customer": "7"}) == ["b", "a"]
        assert await ids(client, tags={"customer": "7", "country": "PT"}) == ["a"]
        assert await ids(client, tags={"customer": "7", "country": "FR"}) == []
        assert await ids(client, tags={}) == ["d", "c", "b", "a"]


async def test_c1_all_conditions_must_hold(store_url: str) -> None:
    async with Orchestrator(store_url, app) as client:
        await start_some(client)
        await client.run(quick.with_options(instance_id="quick", tags={"customer": "7"}))
        in_a_minute = datetime.now(UTC) + timedelta(minutes=1)

        assert await ids(client, tags={"customer": "7"}, workflow=order, id_prefix="b") == ["b"]
        assert await ids(client, tags={"customer": "7"}, states=[State.COMPLETED]) == ["quick"]
        assert await ids(client, tags={"customer": "7"}, created_from=in_a_minute) == []
        assert await client.count(tags={"customer": "7"}) == {State.RUNNING: 2, State.COMPLETED: 1}


async def test_c1_the_same_filters_say_what_is_pruned(store_url: str) -> None:
    async with Client(store_url, app) as client:
        await start_some(client)
        for name in ("a", "b", "c"):
            await client.terminate(name)

        assert await client.prune(tags={"customer": "7"}) == 2
        assert await ids(client) == ["d", "c"]


async def test_c1_tags_belong_to_the_instance_through_continue_as_new_and_after_its_end(store_url: str) -> None:
    async with Orchestrator(store_url, app) as client:
        handle = await client.start(rounds.with_options(tags={"customer": "7"}), 1)
        await handle.signal(go)
        await handle.signal(go)
        await handle.result()

        info = await handle.info()
        assert (info.tags, info.execution_number) == ({"customer": "7"}, 2)
        assert await ids(client, tags={"customer": "7"}) == [handle.instance_id]


async def test_c1_sub_workflows_have_tags_of_their_own(store_url: str) -> None:
    async with Orchestrator(store_url, app) as client:
        await client.run(parent.with_options(tags={"customer": "7"}))

        assert dict((await client.info("plain")).tags) == {}
        assert await ids(client, tags={"customer": "8"}) == ["tagged"]


async def test_c1_a_page_goes_on_where_the_last_one_ended_though_instances_come_and_go(store_url: str) -> None:
    async with Client(store_url, app) as client:
        await start_some(client)
        first = await client.page(limit=2)
        await client.start(order.with_options(instance_id="e"), "cup")
        await client.terminate("d")
        await client.remove("d")
        second = await client.page(limit=2, cursor=first.cursor)

        assert [[each.instance_id for each in page.items] for page in (first, second)] == [["d", "c"], ["b", "a"]]


async def test_c1_instances_of_a_version_are_found(store_url: str) -> None:
    old, new = App(workflows=[order], version="1"), App(workflows=[order], version="2")
    async with Client(store_url, old) as at_first, Client(store_url, new) as later:
        await at_first.start(order.with_options(instance_id="old"), "cup")
        await later.start(order.with_options(instance_id="new"), "cup")

        assert await ids(later, version="1") == ["old"]
        assert await later.count(version="2") == {State.RUNNING: 1}


async def test_c1_only_text_can_be_a_tag() -> None:
    with pytest.raises(ConfigurationError, match="names and values of tags are strings"):
        order.with_options(tags={"customer": 7})  # type: ignore[dict-item]


async def test_c1_a_thousand_instances_side_by_side_are_all_found(store_url: str) -> None:
    tagged = [order.with_options(tags={"batch": str(n % 2)}) for n in range(1000)]
    async with Client(store_url, app) as client:
        await asyncio.gather(*(client.start(each, "cup") for each in tagged))

        assert len({*await ids(client, tags={"batch": "1"})}) == 500
