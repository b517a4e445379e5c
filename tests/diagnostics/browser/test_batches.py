"""One action on all that a filter lets through, with its progress."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import Locator, expect

from examples.approval import approve
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader
from tests.diagnostics.browser.shop import report
from tests.worker.support import until_async

pytestmark = IN_BROWSER

MANY = 120


async def start_many(perdure: Orchestrator) -> None:
    """So many that wait, and one that has ended."""
    for number in range(MANY):
        await perdure.start(approve.with_options(instance_id=f"approve-{number:03}"), "a chair", timedelta(days=3))
    await perdure.run(report.with_options(instance_id="approve-not"))


def fact(reader: Reader, name: str) -> Locator:
    return reader.page.locator("dl.facts div", has=reader.page.get_by_text(name, exact=True)).locator("dd")


async def begin(reader: Reader, label: str) -> None:
    await reader.page.locator("#batch summary").click()
    await reader.page.locator("#batch").get_by_role("link", name=label, exact=True).click()


async def test_all_of_a_filter_are_cancelled_and_the_others_left_alone(perdure: Orchestrator, steerer: Reader) -> None:
    await start_many(perdure)
    await perdure.start(approve.with_options(instance_id="another"), "a desk", timedelta(days=3))
    await steerer.open("/?prefix=approve-")
    await begin(steerer, "Cancel")
    await expect(steerer.page.locator(".question h1")).to_have_text(f"Cancel all {MANY + 1}?")
    await steerer.page.locator("[name=reason]").fill("the budget is gone")
    await steerer.page.get_by_role("button", name=f"Cancel all {MANY + 1}").click()

    await expect(steerer.page.locator("h1 small")).to_have_text("ended")
    await expect(fact(steerer, "Done")).to_have_text(str(MANY))
    await expect(fact(steerer, "Left alone")).to_have_text("1")
    await expect(fact(steerer, "By")).to_have_text("anna")

    async def all_have_ended() -> bool:
        return await perdure.count(states=[State.CANCELLED]) == {State.CANCELLED: MANY}

    await until_async(all_have_ended)
    assert await perdure.state("another") is State.RUNNING


async def test_a_batch_needs_a_filter(perdure: Orchestrator, steerer: Reader) -> None:
    await start_many(perdure)
    await steerer.open("/")

    await expect(steerer.page.locator("#instances tbody tr").first).to_be_visible()
    assert await steerer.page.locator("#batch").count() == 0


async def test_batches_are_listed_and_lead_to_their_progress(perdure: Orchestrator, steerer: Reader) -> None:
    await start_many(perdure)
    await steerer.open("/?prefix=approve-00")
    await begin(steerer, "Suspend")
    await steerer.page.locator(".question button").click()
    await expect(steerer.page.locator("h1 small")).to_have_text("ended")
    await steerer.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Batches").click()
    await steerer.page.get_by_role("link", name="suspend").click()

    await expect(fact(steerer, "Done")).to_have_text("10")


async def test_a_batch_that_is_no_more_is_told(steerer: Reader) -> None:
    steerer.expect_status(404)
    await steerer.open("/batches/0123456789abcdef")

    await expect(steerer.page.locator("h1")).to_be_visible()
