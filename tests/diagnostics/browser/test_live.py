"""Pages that change while one looks at them, without being loaded again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from playwright.async_api import Page, expect

from examples.approval import Decision, approve, decision
from perdure.client.client import Client
from perdure.orchestrator import Orchestrator
from tests.diagnostics.browser.filling import PIANO, has_begun
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader
from tests.diagnostics.browser.shop import QUEUES, approved, courier, order
from tests.many_workers.processes import ROOT
from tests.worker.support import until_async

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="session")
async def worker(url: str) -> AsyncIterator[Client]:
    """A client of the test's own store, and a worker in another process."""
    queues = [word for queue in QUEUES for word in ("--queue", queue)]
    words = ["worker", "tests.diagnostics.browser.shop:app", "--store", url, "--log-level", "error", *queues]
    async with Client(url) as client:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "perdure", *words, cwd=ROOT)
        try:
            yield client
        finally:
            process.kill()  # a courier would have it wait for the parcel
            await process.wait()


async def mark(page: Page) -> None:
    """What is loaded again forgets it."""
    await page.evaluate("window.isStillThere = true")


async def assert_same(page: Page) -> None:
    assert await page.evaluate("window.isStillThere"), "the page was loaded again"


async def test_a_row_changes_when_another_process_ends_the_instance(worker: Client, steerer: Reader) -> None:
    await worker.start(order.with_options(instance_id="order-1"), PIANO)
    await until_async(lambda: _awaits_approval(worker))
    await steerer.open("/")
    row = steerer.page.locator("#instances tr", has=steerer.page.get_by_role("link", name="order-1", exact=True))
    await expect(row.locator(".state")).to_have_text("running")
    await mark(steerer.page)
    await worker.signal("order-1", approved, "Ada")

    await expect(row.locator(".state")).to_have_text("completed")
    await expect(steerer.page.locator("#instances tr", has_text="delivery").first).to_be_visible()
    await assert_same(steerer.page)


async def _awaits_approval(client: Client) -> bool:
    return "TimerFired" in [type(each.event).__name__ async for each in client.history("order-1")]


async def test_an_instances_page_changes_and_keeps_place_and_what_is_open(worker: Client, steerer: Reader) -> None:
    await worker.start(order.with_options(instance_id="order-1"), PIANO)
    await until_async(lambda: _awaits_approval(worker))
    page = steerer.page
    await page.set_viewport_size({"width": 1000, "height": 400})
    await steerer.open("/instances/order-1")
    await mark(page)
    await page.locator("#event-3 summary").click()
    await page.locator("#event-3").scroll_into_view_if_needed()
    await page.evaluate("document.getElementById('event-3').querySelector('summary').focus()")
    before = await page.evaluate("scrollY")
    top = await page.locator("#event-3").bounding_box()
    await worker.signal("order-1", approved, "Ada")

    await expect(page.locator(".head .state")).to_have_text("completed")
    await expect(page.locator("#ending")).to_contain_text("approved by")
    await expect(page.locator("#event-3")).to_have_attribute("open", "")
    await expect(page.locator("#event-3 summary")).to_be_focused()
    await assert_same(page)
    assert before > 0
    assert top is not None
    after = await page.locator("#event-3").bounding_box()
    assert after is not None
    assert -400 < after["y"] < 400 or await page.evaluate("scrollY") == before


async def test_a_new_instance_appears(perdure: Orchestrator, steerer: Reader) -> None:
    await steerer.open("/")
    await expect(steerer.page.get_by_text("There are no instances yet.")).to_be_visible()
    await mark(steerer.page)
    await perdure.start(approve.with_options(instance_id="approve-1"), "a chair", timedelta(days=1))

    await expect(steerer.page.get_by_role("link", name="approve-1")).to_be_visible()
    await assert_same(steerer.page)


async def test_a_heartbeat_moves_on(worker: Client, steerer: Reader) -> None:
    await worker.start(courier.with_options(instance_id="courier-1"), "parcel 7")
    await until_async(lambda: has_begun(worker, "courier-1"))
    await steerer.open("/instances/courier-1")
    beat = steerer.page.locator("#pending pre", has_text="street")
    first = await beat.inner_text()

    await expect(beat).not_to_have_text(first)


async def test_what_is_being_written_stays(perdure: Orchestrator, steerer: Reader) -> None:
    await perdure.start(approve.with_options(instance_id="approve-1"), "a chair", timedelta(days=1))
    await steerer.open("/")
    await steerer.page.get_by_label("Id holds").fill("appro")
    await perdure.start(approve.with_options(instance_id="approve-2"), "a desk", timedelta(days=1))

    await expect(steerer.page.get_by_role("link", name="approve-2")).to_be_visible()
    await expect(steerer.page.get_by_label("Id holds")).to_have_value("appro")


async def test_updates_can_be_paused(perdure: Orchestrator, steerer: Reader) -> None:
    await perdure.start(approve.with_options(instance_id="approve-1"), "a chair", timedelta(days=1))
    await steerer.page.clock.install()
    await steerer.open("/")
    await steerer.page.get_by_role("button", name="live").click()
    await expect(steerer.page.get_by_role("button", name="paused")).to_be_visible()
    await perdure.start(approve.with_options(instance_id="approve-2"), "a desk", timedelta(days=1))
    asked: list[str] = []
    steerer.page.on("request", lambda request: asked.append(request.url))
    await steerer.page.clock.run_for(60_000)
    assert asked == []

    await steerer.page.get_by_role("button", name="paused").click()
    await expect(steerer.page.get_by_role("link", name="approve-2")).to_be_visible()


async def test_a_page_that_gets_no_answer_says_so_and_finds_back(perdure: Orchestrator, steerer: Reader) -> None:
    switch = steerer.page.locator("[data-live-switch]")
    await steerer.page.clock.install()
    await steerer.open("/")
    await steerer.page.context.set_offline(True)
    await steerer.page.clock.run_for(20_000)
    await expect(switch).to_have_text("no answer")
    await steerer.page.context.set_offline(False)
    await steerer.page.clock.run_for(20_000)

    await expect(switch).to_have_text("live")


async def test_an_instance_that_is_removed_meanwhile_is_told(perdure: Orchestrator, steerer: Reader) -> None:
    steerer.expect_status(404)
    handle = await perdure.start(approve.with_options(instance_id="approve-1"), "a chair", timedelta(days=1))
    await handle.signal(decision, Decision("Ada", is_granted=True))
    await handle.wait()
    await steerer.open("/instances/approve-1")
    await expect(steerer.page.locator("h1")).to_contain_text("approve-1")
    await perdure.remove("approve-1")

    await expect(steerer.page.locator("h1")).to_have_text("There is no such instance")
