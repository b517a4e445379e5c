"""The list of instances, as somebody goes through it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Locator, Page, expect

from tests.diagnostics.browser.filling import ENDED, WAITING
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader

pytestmark = IN_BROWSER

MORE_THAN = ENDED + WAITING


def rows(page: Page) -> Locator:
    return page.locator("#instances tbody tr")


async def ids(page: Page) -> list[str]:
    return [text.strip() for text in await page.locator("#instances td.name a.id").all_inner_texts()]


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="States").get_by_role("link", name=name)


async def filter_by(page: Page, **fields: str) -> None:
    """Fill the form, and send it as most people do."""
    for name in fields:
        if not await page.locator(f"#filter [name={name}]").is_visible():
            await page.locator("#filter summary").click()
    for name, value in fields.items():
        await page.locator(f"#filter [name={name}]").fill(value)
    await page.locator(f"#filter [name={[*fields][-1]}]").press("Enter")
    await page.wait_for_url(re.compile(f"[?&]{[*fields][-1]}="))


async def test_the_first_page_has_the_newest_instances_and_counts_them_all(reader: Reader) -> None:
    await reader.open("/")

    found = await ids(reader.page)
    total = int((await tab(reader.page, "All").locator("b").inner_text()).replace(",", ""))
    assert found[0] == "delivery-new"
    assert len(found) == 50
    assert total > MORE_THAN


@pytest.mark.parametrize(
    ("name", "instance_id"),
    [
        ("Running", "order-4712"),
        ("Stuck", "subscription-stuck"),
        ("Suspended", "approve-suspended"),
        ("Failed", "trip-lisbon"),
        ("Completed", "order-4711"),
        ("Cancelled", "approve-cancelled"),
        ("Terminated", "approve-terminated"),
    ],
)
async def test_a_tab_has_the_instances_of_a_state(reader: Reader, name: str, instance_id: str) -> None:
    await reader.open("/")
    await tab(reader.page, name).click()

    await expect(tab(reader.page, name)).to_have_attribute("aria-current", "page")
    shown = set(await reader.page.locator("#instances .state").all_inner_texts())
    count = int((await tab(reader.page, name).locator("b").inner_text()).replace(",", ""))
    assert shown <= {name.lower()} | ({"stuck", "suspended"} if name == "Running" else set())
    assert instance_id in await ids(reader.page)
    assert await rows(reader.page).count() == min(count, 50)


async def test_what_waits_long_has_a_tab(reader: Reader) -> None:
    await reader.open("/")
    await tab(reader.page, "Waiting long").click()

    await expect(rows(reader.page)).to_have_count(1)
    assert await ids(reader.page) == ["subscription-old"]


async def test_a_stuck_instance_says_why_in_the_list(reader: Reader) -> None:
    await reader.open("/?show=stuck")

    await expect(rows(reader.page).first).to_contain_text("its code doesn't repeat its history")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"find": "old-card"}, {"pay-old-card"}),
        ({"workflow": "auction"}, {"auction-sold"}),
        ({"queue": "nobody"}, {"delivery-new"}),
        ({"prefix": "order-471", "workflow": "order"}, {"order-4711", "order-4712", "order-4713"}),
        ({"tag": "region=eu, customer=Ada"}, {"order-4711"}),
        ({"parent": "party"}, {"the-cake"}),
        ({"workflow": "order", "find": "nobody has this"}, set()),
    ],
)
async def test_a_filter_leaves_what_fits(reader: Reader, fields: dict[str, str], expected: set[str]) -> None:
    await reader.open("/")
    await filter_by(reader.page, **fields)

    assert set(await ids(reader.page)) == expected
    for name, value in fields.items():
        await expect(reader.page.locator(f"#filter [name={name}]")).to_have_value(value)
    assert (await tab(reader.page, "All").locator("b").inner_text()) == str(len(expected))


async def test_a_filter_goes_by_time(reader: Reader) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    await reader.open("/")
    await filter_by(reader.page, **{"from": tomorrow})

    await expect(reader.page.get_by_text("No instance matches.")).to_be_visible()


async def test_a_filter_can_be_cleared(reader: Reader) -> None:
    await reader.open("/?show=completed&workflow=auction")
    await reader.page.get_by_role("link", name="Clear").click()

    await expect(rows(reader.page)).to_have_count(50)
    await expect(tab(reader.page, "Completed")).to_have_attribute("aria-current", "page")


async def test_a_filter_that_is_none_says_so_and_keeps_what_was_written(reader: Reader) -> None:
    reader.expect_status(400)
    await reader.open("/")
    await filter_by(reader.page, **{"from": "yesterday"})

    await expect(reader.page.get_by_role("alert")).to_contain_text("'yesterday' is no time")
    await expect(reader.page.locator("#filter [name=from]")).to_have_value("yesterday")


async def test_pages_follow_each_other_without_gap_or_repetition(reader: Reader) -> None:
    await reader.open("/?workflow=wait_for_signal")
    seen = await ids(reader.page)
    for _ in range(3):
        await reader.page.get_by_role("link", name="Older").click()
        seen += await ids(reader.page)

    assert seen == [f"waiting-{number:08}" for number in range(200)]
    await reader.page.get_by_role("link", name="Newest").click()
    assert (await ids(reader.page))[0] == f"waiting-{0:08}"


async def test_a_page_can_be_longer(reader: Reader) -> None:
    await reader.open("/")
    await reader.page.get_by_role("link", name="200", exact=True).click()

    await expect(rows(reader.page)).to_have_count(200)


async def test_an_id_in_the_search_leads_to_its_instance(reader: Reader) -> None:
    await reader.open("/queues")
    await reader.page.get_by_role("searchbox").fill("order-4711")
    await reader.page.get_by_role("searchbox").press("Enter")

    await expect(reader.page.locator("h1")).to_contain_text("order-4711")


async def test_a_part_of_an_id_leads_to_those_that_hold_it(reader: Reader) -> None:
    await reader.open("/")
    await reader.page.get_by_role("searchbox").fill("lisbon")
    await reader.page.get_by_role("searchbox").press("Enter")

    await expect(rows(reader.page)).to_have_count(1)
    assert await ids(reader.page) == ["trip-lisbon"]


async def test_a_row_leads_to_its_instance(reader: Reader) -> None:
    await reader.open("/?find=trip")
    await reader.page.get_by_role("link", name="trip-lisbon").click()

    await expect(reader.page).to_have_title(re.compile("failed · trip-lisbon"))
