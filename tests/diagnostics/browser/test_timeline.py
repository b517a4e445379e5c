"""The timeline: bars over time."""

from __future__ import annotations

import re

from playwright.async_api import Locator, expect

from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader

pytestmark = IN_BROWSER


def bar(reader: Reader, label: str) -> Locator:
    return reader.page.locator(".bars li", has=reader.page.locator(".label", has_text=label)).first


async def details(of: Locator) -> str:
    """What a browser shows when the bar is pointed at."""
    return await of.locator("svg.bar title").text_content() or ""


async def test_a_bar_for_each_step_tells_how_it_went(reader: Reader) -> None:
    await reader.open("/instances/order-4711")

    told = await details(bar(reader, "charge_card"))
    assert re.search(r"activity charge_card.*completed", told)
    assert re.search(r"took \d+ ms", told)
    assert "queue default" in told
    for label in ("reserve", "timer", "delivery"):
        await expect(bar(reader, label)).to_be_visible()


async def test_bars_lie_where_they_began_and_ended(reader: Reader) -> None:
    await reader.open("/instances/order-4711")

    async def ends(label: str) -> tuple[float, float]:
        box = await bar(reader, label).locator("svg.bar rect").bounding_box()
        assert box is not None
        return box["x"], box["x"] + box["width"]

    whole, charge, parcel = [await ends(label) for label in ("order", "charge_card", "delivery")]
    assert whole[0] <= charge[0] < charge[1] <= parcel[0] < parcel[1] <= whole[1] + 1


async def test_a_signal_is_seen(reader: Reader) -> None:
    await reader.open("/instances/approve-granted")

    await expect(bar(reader, "decision")).to_have_class(re.compile("^signal "))


async def test_a_failure_is_seen_with_what_it_said(reader: Reader) -> None:
    await reader.open("/instances/trip-lisbon")

    failed = reader.page.locator(".bars li.failed", has_text="book_hotel")
    assert "no room in Lisbon" in await details(failed)


async def test_attempts_and_the_one_to_come_are_seen(reader: Reader) -> None:
    await reader.open("/instances/order-mallory")
    await expect(bar(reader, "charge_card")).to_contain_text("×4")
    assert "attempts 4" in await details(bar(reader, "charge_card"))

    await reader.open("/instances/refund-waiting")
    await expect(bar(reader, "pay_back")).to_contain_text("retrying")


async def test_steps_can_be_evenly_spaced(reader: Reader) -> None:
    await reader.open("/instances/order-4711")
    await reader.page.get_by_role("link", name="evenly spaced").click()

    await expect(reader.page.locator("#timeline b", has_text="evenly spaced")).to_be_visible()
    box = await bar(reader, "charge_card").locator("svg.bar rect").bounding_box()
    assert box is not None
    assert box["width"] > 40


async def test_a_bar_leads_to_its_event(reader: Reader) -> None:
    await reader.open("/instances/order-4711")
    await bar(reader, "charge_card").get_by_role("link").focus()
    await reader.page.keyboard.press("Enter")

    event = reader.page.locator("li details[open]")
    await expect(event).to_contain_text("charge_card scheduled")
    await expect(event).to_be_in_viewport()


async def test_a_long_timeline_is_shown_in_parts(reader: Reader) -> None:
    await reader.open("/instances/long-10000")
    timeline = reader.page.locator("#timeline")
    first = await timeline.locator(".bars li").count()
    await timeline.get_by_role("link", name="later").click()

    await expect(timeline).to_contain_text(re.compile(r"bars 201–400 of [45],\d{3}"))
    assert first == 200
    await timeline.get_by_role("link", name="last", exact=True).click()
    await expect(timeline.get_by_role("link", name="later")).to_have_count(0)
