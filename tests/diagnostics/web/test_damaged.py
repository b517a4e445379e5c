"""A store that something has damaged: the page shows what can be read, and says why that isn't all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.client.client import Client
from perdure.diagnostics.look import Look
from perdure.diagnostics.page import run_page
from perdure.diagnostics.web.site import create_app
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import app, damage, until_quiet, waiting
from tests.diagnostics.web.conftest import Browser
from tests.diagnostics.web.html import Html, faults


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Of a store with an instance, `order`, whose history is damaged."""
    file = tmp_path / "store.db"
    async with Orchestrator(f"sqlite:///{file}", app) as perdure:
        await perdure.start(waiting.with_options(instance_id="order"))
        await until_quiet(perdure, "order", 1)
    damage(file)
    async with Client(f"sqlite:///{file}", app) as client:
        yield client


async def test_its_page_says_so_and_claims_nothing_that_it_cannot_know(client: Client) -> None:
    async with create_app(client, app) as site, Browser(site) as browser:
        answer = await browser.get("/instances/order")

    page = Html(answer.text)
    assert (answer.status_code, faults(answer.text)) == (200, [])
    assert "can't be read" in page.one("section", class_="alert damaged").text
    assert "waiting" in page.one("dl", class_="facts").text
    assert [each.text for each in page.all("p", class_="nothing")] == ["It can't be read."] * 3


async def test_so_does_the_page_that_stands_alone(client: Client) -> None:
    page = Html(await run_page(Look(client, app), "order"))

    assert "can't be read" in page.one("section", class_="alert damaged").text
    assert "hadn't begun" not in page.text
