"""The web service keeps its promise: never an order without its workflow, nor the other way round."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from examples.fastapi_orders.service import app, create_api, fulfil
from perdure import Client, Orchestrator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'orders.db'}"


@pytest.fixture
async def shop(url: str) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(database_url=url)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(api, raise_app_exceptions=False), base_url="http://shop")
    async with api.router.lifespan_context(api), client:
        yield client


def order(order_id: str, *, cents: int = 1650) -> dict[str, object]:
    return {"id": order_id, "item": "cup", "cents": cents}


async def instances(url: str) -> list[str]:
    async with Client(url) as client:
        return sorted([instance.instance_id async for instance in client.list()])


async def test_an_order_is_placed_and_fulfilled(shop: httpx.AsyncClient, url: str) -> None:
    answer = await shop.post("/orders", json=order("7"))
    assert (answer.status_code, answer.json()) == (201, order("7"))

    async with Client(url) as client:
        assert await client.result("7", fulfil, timeout=20) == "a parcel with a cup"
    answer = await shop.get("/orders/7")
    assert (answer.status_code, answer.json()) == (200, {"item": "cup", "workflow": "completed"})


async def test_one_can_wait_for_the_end_for_a_while(url: str) -> None:
    """The service is a client here, beside which no worker runs at first."""
    api = create_api(Client(url, app), url)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://shop")
    async with api.router.lifespan_context(api), client as shop:
        await shop.post("/orders", json=order("7"))
        answer = await shop.get("/orders/7/parcel?wait_seconds=0.01")
        assert (answer.status_code, answer.json()) == (202, None)
        async with Orchestrator(url, app):
            answer = await shop.get("/orders/7/parcel")
        assert (answer.status_code, answer.json()) == (200, "a parcel with a cup")
        assert (await shop.get("/orders/8/parcel")).status_code == 404


async def test_a_request_that_fails_leaves_neither_row_nor_workflow(shop: httpx.AsyncClient, url: str) -> None:
    answer = await shop.post("/orders", json=order("7", cents=-5))

    assert answer.status_code == 422
    assert (await shop.get("/orders/7")).status_code == 404
    assert await instances(url) == []


async def test_a_commit_that_fails_leaves_no_workflow(shop: httpx.AsyncClient, url: str) -> None:
    """The row is in the way of the second one, whose workflow's id would have been free."""
    await shop.post("/orders", json=order("7"))
    async with Client(url) as client:
        await client.result("7", fulfil, timeout=20)
        await client.remove("7")

    answer = await shop.post("/orders", json=order("7"))

    assert answer.status_code == 500
    assert await instances(url) == []


async def test_an_order_that_was_placed_before_is_refused(shop: httpx.AsyncClient, url: str) -> None:
    async with Client(url, app) as client:
        await client.start(fulfil.with_options(instance_id="7"), "spoon")

    assert (await shop.post("/orders", json=order("7"))).status_code == 409
    assert (await shop.get("/orders/7")).status_code == 404


def test_it_calls_itself() -> None:
    command = [sys.executable, "-W", "error", "-m", "examples.fastapi_orders"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == [
        "POST 7 201",
        "POST 7 409",
        "POST 8 422",
        "GET 7 200 {'item': 'cup', 'workflow': 'completed'}",
        "GET 8 404 {'detail': 'there is no such order'}",
    ], done.stderr


async def test_requests_side_by_side_all_get_through(shop: httpx.AsyncClient, url: str) -> None:
    answers = await asyncio.gather(*(shop.post("/orders", json=order(str(number))) for number in range(20)))

    assert [answer.status_code for answer in answers] == [201] * 20
    assert len(await instances(url)) == 20


KILLED = """
import asyncio, sys
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from examples.fastapi_orders.service import Base, Order, app, place, with_driver
from perdure import Client

async def main():
    engine = create_async_engine(with_driver(sys.argv[1]))
    async with Client(sys.argv[1], app) as client:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with async_sessionmaker(engine).begin() as session:
            await place(session, client, Order(id="7", item="cup", cents=1650))
            await session.flush()
            print("placed", flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_a_process_that_is_killed_before_the_commit_leaves_neither(url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, url], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "placed\n"
        program.kill()

    assert await instances(url) == []
    api = create_api(Orchestrator(url, app), url)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://shop")
    async with api.router.lifespan_context(api), client as shop:
        assert (await shop.get("/orders/7")).status_code == 404
        assert (await shop.post("/orders", json=order("7"))).status_code == 201
