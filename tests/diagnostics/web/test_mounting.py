"""Below any path of another program, and with any store: open, not open yet, away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from perdure.client.client import Client
from perdure.diagnostics.web.site import Site, create_app
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import app, pick
from tests.diagnostics.web.conftest import Browser, anna, fill
from tests.diagnostics.web.html import Html, faults


def in_starlette(site: Site) -> Any:
    return Starlette(routes=[Mount("/ops/perdure", app=site)])


def in_fastapi(site: Site) -> Any:
    outer = FastAPI()
    outer.mount("/ops/perdure", site)
    return outer


def below_another(site: Site) -> Any:
    return Starlette(routes=[Mount("/ops", app=Starlette(routes=[Mount("/perdure", app=site)]))])


def behind_a_proxy(site: Site) -> Any:
    """That takes the prefix away; the server is told of it (`uvicorn --root-path`), and puts it in front of the path again."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await site(scope | {"root_path": "/ops/perdure"}, receive, send)

    return served


@pytest.mark.parametrize("mounted", [in_starlette, in_fastapi, below_another, behind_a_proxy])
async def test_all_links_stay_below_the_place_that_it_is_mounted_at(
    shop: Orchestrator, site_of: Callable[..., Site], mounted: Callable[[Site], Any]
) -> None:
    async with Browser(mounted(site_of())) as browser:
        for path in ("", "instances/waiting", "instances/waiting/tree", "queues", "schedules", "batches", "nothing", "instances/nobody",
                     "static/nothing", "do/instance/waiting/terminate", "?show=running"):  # fmt: skip
            answer = await browser.get(f"/ops/perdure/{path}")
            assert answer.status_code == (404 if "no" in path else 200), path
            assert faults(answer.text, own="/ops/perdure/") == [], path
        sheet = Html(answer.text).one("link", rel="stylesheet").attributes["href"]
        assert (await browser.get(sheet)).headers["content-type"].startswith("text/css")
        found = await browser.get("/ops/perdure/find?id=waiting")
        assert found.headers["location"] == "/ops/perdure/instances/waiting"


async def test_an_action_works_below_a_prefix(shop: Orchestrator, site_of: Callable[..., Site]) -> None:
    async with Browser(in_starlette(site_of())) as browser:
        done = await browser.submit(await browser.get("/ops/perdure/do/instance/waiting/suspend"))
        page = Html((await browser.get(done.headers["location"])).text)

    assert "is suspended" in page.one("p", role="status").text


async def test_without_a_slash_at_its_end_the_prefix_leads_to_the_site(
    shop: Orchestrator, site_of: Callable[..., Site]
) -> None:
    async with Browser(in_starlette(site_of())) as browser:
        answer = await browser.get("/ops/perdure", follow_redirects=True)

    assert answer.status_code == 200


async def test_a_store_by_its_url_is_opened_by_the_first_request(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    async with Orchestrator(url, app) as perdure:
        await perdure.run(pick.with_options(instance_id="one"), "x")
    site = create_app(url, app)
    async with Browser(in_fastapi(site)) as browser:
        assert "one" in (await browser.get("/ops/perdure/")).text
    async with site:
        pass  # closes what was opened


async def test_the_lifespan_of_a_program_can_open_and_close_it(tmp_path: Path) -> None:
    site = create_app(f"sqlite:///{tmp_path / 'shop.db'}")

    @asynccontextmanager
    async def lifespan(outer: Starlette) -> AsyncIterator[None]:
        async with site:
            yield

    outer = Starlette(routes=[Mount("/", app=site)], lifespan=lifespan)
    async with outer.router.lifespan_context(outer), Browser(outer) as browser:
        assert (await browser.get("/health")).text == "ok\n"


async def test_a_client_that_is_not_open_yet_is_told_and_works_as_soon_as_it_is() -> None:
    perdure = Orchestrator("memory://", app)
    async with Browser(create_app(perdure, authorize=anna)) as browser:
        before = await browser.get("/")
        async with perdure:
            await fill(perdure)
            after = await browser.get("/instances/waiting")

    assert before.status_code == 400
    assert "this client isn't open" in Html(before.text).text
    assert "signal_channel(go).receive()" in after.text  # the client knows the App


async def test_a_store_that_is_away_is_told_and_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "not there yet"
    async with Browser(create_app(f"sqlite:///{folder / 'shop.db'}")) as browser:
        away = await browser.get("/")
        folder.mkdir()
        back = await browser.get("/")

    assert away.status_code == 503
    assert "Try again" in away.text
    assert faults(away.text) == []
    assert back.status_code == 200


async def test_an_open_backend_stays_open(tmp_path: Path) -> None:
    async with Client(f"sqlite:///{tmp_path / 'shop.db'}") as client:
        async with create_app(client.backend) as site, Browser(site) as browser:
            assert (await browser.get("/")).status_code == 200
        assert await client.count() == {}
