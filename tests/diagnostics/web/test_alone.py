"""A run as one page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib

import pytest

from perdure.diagnostics.look import Look
from perdure.diagnostics.page import run_page
from perdure.errors import InstanceNotFound
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import app, many_steps
from tests.diagnostics.web.conftest import ODD, Browser
from tests.diagnostics.web.html import Html, faults


@pytest.mark.parametrize("instance_id", [ODD, "waiting", "failed", "retrying", "chain", "family", "left"])
async def test_it_needs_nothing_else(shop: Orchestrator, instance_id: str) -> None:
    source = await run_page(Look(shop, app), instance_id)
    page = Html(source)
    [style] = page.all("style")

    assert [fault for fault in faults(source, own="#") if fault != "inline style"] == []
    assert not page.all("script") + page.all("link") + page.all("img")
    assert all(link.startswith("#") for link in page.links)
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()}'" in policy


async def test_every_link_within_leads_to_an_event(shop: Orchestrator) -> None:
    page = Html(await run_page(Look(shop, app), "waiting"))
    ids = {element.attributes.get("id") for element in page.elements}

    assert {link.removeprefix("#") for link in page.links} <= ids


async def test_it_has_all_of_the_run(shop: Orchestrator) -> None:
    text = Html(await run_page(Look(shop, app), "failed")).text

    assert "raise OutOfOrder" in text
    assert "ExecutionFailed" in text


async def test_of_a_long_history_it_has_the_end(shop: Orchestrator) -> None:
    await shop.run(many_steps.with_options(instance_id="long"), 1_100)
    page = Html(await run_page(Look(shop, app), "long"))

    assert page.all("details", id="event-2201")
    assert not page.all("details", id="event-0")
    assert "The last 2,000" in page.text


async def test_nobody_has_no_page(shop: Orchestrator) -> None:
    with pytest.raises(InstanceNotFound):
        await run_page(Look(shop, app), "nobody")


async def test_the_instances_page_offers_it(browser: Browser) -> None:
    answer = await browser.get("/instances/failed/save")

    assert answer.headers["content-disposition"] == 'attachment; filename="failed.html"'
    assert "raise OutOfOrder" in answer.text
