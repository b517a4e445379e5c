"""The page of one instance, and of those that belong to it."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader

pytestmark = IN_BROWSER


async def test_an_instance_that_waits_shows_what_for_and_in_which_line(reader: Reader) -> None:
    await reader.open("/instances/order-4712")

    where = reader.page.locator("#where")
    await expect(where).to_contain_text(re.compile(r"It waits .*in order, line \d+"))
    await expect(where.locator("code.it")).to_contain_text("await ctx.signal_channel(approved).receive()")
    await expect(reader.page.locator("#input")).to_contain_text('"customer": "Grace"')
    await expect(reader.page.locator(".head .state")).to_have_text("running")


async def test_an_instance_that_has_ended_shows_its_result(reader: Reader) -> None:
    await reader.open("/instances/order-4711")

    await expect(reader.page.locator("#ending")).to_contain_text('"receipt": "receipt over 47.11"')
    await expect(reader.page.locator("#where")).to_have_count(0)


async def test_a_failed_instance_shows_the_traceback_and_its_cause(reader: Reader) -> None:
    await reader.open("/instances/trip-lisbon")

    ending = reader.page.locator("#ending")
    await expect(ending).to_contain_text("SoldOut")
    await expect(ending).to_contain_text("no room in Lisbon")
    await expect(ending).to_contain_text(re.compile(r"saga\.py\", line \d+, in book_hotel"))


async def test_a_stuck_instance_shows_the_reason_and_what_to_do(reader: Reader) -> None:
    await reader.open("/instances/subscription-stuck")

    alert = reader.page.locator(".alert.stuck")
    await expect(alert).to_contain_text("NonDeterminismError")
    await expect(alert).to_contain_text("What to do.")
    await expect(alert).to_contain_text("ctx.patched")


async def test_an_activity_that_waits_shows_its_attempt_last_failure_and_next_try(reader: Reader) -> None:
    await reader.open("/instances/refund-waiting")
    pending = reader.page.locator("#pending")
    await pending.get_by_text("Last failure").click()

    row = pending.locator("tr", has_text="pay_back").first
    await expect(row).to_contain_text(re.compile(r"in 1 h|in 2 h"))
    await expect(row.get_by_role("cell").nth(2)).to_have_text("2")
    await expect(pending).to_contain_text("4711 cents for Ada: open again on Monday")
    await expect(pending.locator("pre").first).to_be_visible()


async def test_the_executions_of_a_chain_lead_to_each_other(reader: Reader) -> None:
    await reader.open("/instances/account-1")
    chain = reader.page.locator(".chain li")
    await expect(chain).to_have_count(4)
    await chain.first.get_by_role("link", name="1").click()

    await expect(reader.page.get_by_text("This is an earlier execution.")).to_be_visible()
    await expect(reader.page.locator("#history")).to_contain_text("continued as new")
    await reader.page.get_by_role("link", name="To the current one").click()
    await expect(reader.page.get_by_text("This is an earlier execution.")).to_have_count(0)


async def test_a_tree_leads_down_and_up(reader: Reader) -> None:
    await reader.open("/instances/order-4711")
    await reader.page.get_by_role("link", name="as a tree").click()

    nodes = reader.page.locator(".tree li")
    await expect(nodes).to_have_count(3)
    await nodes.nth(2).get_by_role("link").first.click()
    family = reader.page.locator("#family")
    await family.get_by_role("link").first.click()
    await reader.page.locator("#family").get_by_role("link", name="order-4711", exact=True).click()
    await expect(reader.page.locator("h1")).to_contain_text("order-4711 ")


async def test_an_id_that_nobody_has_is_told_with_a_way_on(reader: Reader) -> None:
    reader.expect_status(404)
    await reader.open("/instances/order-47")
    await expect(reader.page.locator("h1")).to_have_text("There is no such instance")
    await reader.page.get_by_role("link", name="Ids that hold this text").click()

    await expect(reader.page.locator("#instances")).to_contain_text("order-4712")


async def test_a_run_can_be_taken_away_as_one_page(reader: Reader) -> None:
    await reader.open("/instances/trip-lisbon")
    async with reader.page.expect_download() as download:
        await reader.page.get_by_role("link", name="Save page").click()
    path = await (await download.value).path()
    saved = path.read_text()

    assert "no room in Lisbon" in saved
    assert not re.search(r"<(script|link|img|iframe|a href=\"https?:)", saved)


async def test_queues_show_what_waits_and_why(reader: Reader) -> None:
    await reader.open("/queues")

    row = reader.page.locator("#queues tr", has_text="warehouse")
    await expect(row).to_contain_text("paused")
    await expect(row.get_by_role("cell").nth(2)).to_have_text("3")
    await expect(reader.page.locator("#queues tr", has_text="printer")).to_contain_text("2 at once")
    await expect(reader.page.locator("#queues tr", has_text="nobody")).to_contain_text("no live worker")


async def test_schedules_show_their_last_and_next_runs(reader: Reader) -> None:
    await reader.open("/schedules")

    often = reader.page.get_by_role("region", name="report-often")
    await expect(often.get_by_role("link", name=re.compile("^report-often@"))).to_have_count(1)
    nightly = reader.page.get_by_role("region", name="report-nightly")
    await expect(nightly.locator("time")).not_to_have_count(0)
    await expect(reader.page.get_by_role("region", name="report-paused")).to_contain_text("paused")
