"""docs/changing-code.md, played through with worker processes of different code, on every store that processes can share."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perdure import App, Client, Context, Orchestrator, workflow
from tests.guide.deployed import client_of, deployed, go, order, write_program


class Shop:
    """Orders by name, each with a log of its steps."""

    def __init__(self, folder: Path, client: Client) -> None:
        self._folder = folder
        self.client = client

    async def start(self, name: str, *, until: str) -> None:
        """Start an order, and wait until it waits behind its step `until`."""
        await self.client.start(order.with_options(instance_id=name), str(self._folder / name))
        while until not in self.steps(name) or await self.client.activities(name):
            await asyncio.sleep(0.02)

    async def finish(self, name: str) -> list[str]:
        await self.client.signal(name, go)
        await self.client.result(name, timeout=60)
        return self.steps(name)

    def lines(self, name: str) -> list[str]:
        log = self._folder / name
        return log.read_text().splitlines() if log.exists() else []

    def steps(self, name: str) -> list[str]:
        return [line.split()[0] for line in self.lines(name)]


@pytest.fixture
def store(shared_store_url: str) -> str:
    return shared_store_url


async def test_w12_a_patch_goes_through_all_its_steps_while_orders_are_running(store: str, tmp_path: Path) -> None:
    async with client_of(store) as client:
        shop = Shop(tmp_path, client)
        async with deployed(store, write_program(tmp_path, "original", None)):
            await shop.start("old", until="pay")
        deployed_at = datetime.now(UTC)
        async with deployed(store, write_program(tmp_path, "patched", None)):
            await shop.start("new", until="wrap")
            await shop.start("marked", until="wrap")
            assert await shop.finish("old") == ["pay", "ship"]
            assert await shop.finish("new") == ["pay", "wrap", "ship"]
        assert await client.count(workflow=order, states=["running"], created_to=deployed_at) == {}
        async with deployed(store, write_program(tmp_path, "deprecated", None)):
            await shop.start("unmarked", until="wrap")
            assert await shop.finish("marked") == ["pay", "wrap", "ship"]
        async with deployed(store, write_program(tmp_path, "changed", None)):
            assert await shop.finish("unmarked") == ["pay", "wrap", "ship"]


async def test_w12_without_a_patch_an_order_is_stuck_and_found_and_goes_on_with_the_old_code(
    store: str, tmp_path: Path
) -> None:
    async with client_of(store) as client:
        shop = Shop(tmp_path, client)
        async with deployed(store, write_program(tmp_path, "original", None)):
            await shop.start("old", until="pay")
        async with deployed(store, write_program(tmp_path, "changed", None)):
            await client.signal("old", go)
            while not (stuck := [each async for each in client.list(stuck=True)]):
                await asyncio.sleep(0.02)
            assert [each.instance_id for each in stuck] == ["old"]
            assert stuck[0].stuck is not None
            assert "the code did: activity" in stuck[0].stuck.reason
        async with deployed(store, write_program(tmp_path, "original", None)):
            await client.resume("old")
            await client.result("old", timeout=60)

    assert shop.steps("old") == ["pay", "ship"]


async def test_w12_side_by_side_each_order_stays_with_its_code_until_the_old_one_is_not_needed(
    store: str, tmp_path: Path
) -> None:
    """The two programs can't replay each other's histories: neither may ever get the other's."""
    old_code, new_code = write_program(tmp_path, "original", "1"), write_program(tmp_path, "changed", "2")
    async with client_of(store, "1") as at_first, client_of(store, "2") as later:
        old_shop, new_shop = Shop(tmp_path, at_first), Shop(tmp_path, later)
        async with deployed(store, old_code, "--app-version", "1"):
            await old_shop.start("old", until="pay")
            async with deployed(store, new_code, "--app-version", "2"):
                await new_shop.start("new", until="wrap")
                await old_shop.start("another old", until="pay")
                assert await old_shop.finish("another old") == ["pay", "ship"]
                assert await new_shop.finish("new") == ["pay", "wrap", "ship"]
                assert await later.count(version="1", states=["running"]) == {"running": 1}

        async with deployed(store, new_code, "--app-version", "2"):  # the old ones stopped too early
            await at_first.signal("old", go)
            await new_shop.start("newer", until="wrap")
            assert await new_shop.finish("newer") == ["pay", "wrap", "ship"]
            info = await later.info("old")
            assert (info.state, info.stuck) == ("running", None)
            async with deployed(store, old_code, "--app-version", "1"):
                await at_first.result("old", timeout=60)
            assert await later.count(version="1", states=["running"]) == {}

    assert old_shop.steps("old") == ["pay", "ship"]


async def test_w12_activities_are_executed_by_any_version_that_knows_them(store: str, tmp_path: Path) -> None:
    old_code, new_code = write_program(tmp_path, "original", "1"), write_program(tmp_path, "changed", "2")
    async with client_of(store, "1") as client:
        shop = Shop(tmp_path, client)
        async with (
            deployed(store, old_code, "--app-version", "1", "--only", "workflows"),
            deployed(store, new_code, "--app-version", "2"),
        ):
            await shop.start("old", until="pay")
            await shop.finish("old")

    assert shop.lines("old") == ["pay by 2", "ship by 2"]


@workflow
async def rounds(ctx: Context, left: int) -> list[str | None]:
    if left:
        await ctx.execute_sub_workflow(report.with_options(instance_id=f"{ctx.info.instance_id}/{left}"))
        ctx.continue_as_new(rounds, left - 1)
    return [ctx.info.version]


@workflow
async def report(ctx: Context) -> None: ...


async def test_w12_the_version_of_a_start_holds_for_its_sub_workflows_and_next_executions(store_url: str) -> None:
    old, new = (App(workflows=[rounds, report], version=version) for version in ("1", "2"))
    async with Client(store_url, old) as client, Orchestrator(store_url, new):
        handle = await client.start(rounds.with_options(instance_id="loop"), 1)

        assert await handle.result() == ["1"]
        assert (await client.info("loop/1")).version == "1"
