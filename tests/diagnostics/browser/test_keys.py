"""The pages by keyboard alone."""

from __future__ import annotations

from playwright.async_api import expect

from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader

pytestmark = IN_BROWSER


async def test_a_slash_leads_to_the_search(reader: Reader) -> None:
    await reader.open("/")
    await reader.page.keyboard.press("/")
    await reader.page.keyboard.type("order-4711")
    await reader.page.keyboard.press("Enter")

    await expect(reader.page.locator("h1")).to_contain_text("order-4711")


async def test_a_slash_in_a_field_is_a_slash(reader: Reader) -> None:
    await reader.open("/")
    await reader.page.get_by_label("Id holds").focus()
    await reader.page.keyboard.type("a/j")

    await expect(reader.page.get_by_label("Id holds")).to_have_value("a/j")
    await reader.page.keyboard.press("Escape")
    await expect(reader.page.get_by_label("Id holds")).not_to_be_focused()


async def test_j_and_k_walk_through_the_rows(reader: Reader) -> None:
    await reader.open("/?prefix=order-471&workflow=order")
    links = reader.page.locator("#instances a.id")
    await reader.page.keyboard.press("j")
    await reader.page.keyboard.press("j")
    await reader.page.keyboard.press("j")
    await expect(links.nth(2)).to_be_focused()
    await reader.page.keyboard.press("k")
    await expect(links.nth(1)).to_be_focused()
    await reader.page.keyboard.press("Enter")

    await expect(reader.page.locator("h1")).to_contain_text("order-4712")


async def test_j_opens_events_too(reader: Reader) -> None:
    await reader.open("/instances/delivery-1")
    events = reader.page.locator(".events details")
    await reader.page.locator(".events summary").first.focus()
    await reader.page.keyboard.press("j")
    await reader.page.keyboard.press("Enter")

    await expect(events.nth(1)).to_have_attribute("open", "")


async def test_the_first_tab_leads_past_the_head(reader: Reader) -> None:
    await reader.open("/")
    await reader.page.keyboard.press("Tab")
    skip = reader.page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await reader.page.keyboard.press("Enter")
    await reader.page.keyboard.press("Tab")

    assert await reader.page.evaluate("document.getElementById('main').contains(document.activeElement)")


async def test_tab_goes_in_the_order_of_the_page_and_shows_where_it_is(reader: Reader) -> None:
    await reader.open("/instances/order-4712")
    seen: list[tuple[float, float]] = []
    for _ in range(14):
        await reader.page.keyboard.press("Tab")
        found = await reader.page.evaluate(
            """() => {
                const box = document.activeElement.getBoundingClientRect();
                const style = getComputedStyle(document.activeElement);
                const shown = style.outlineStyle !== "none" || style.boxShadow !== "none";
                return [box.top + scrollY, box.left, shown];
            }"""
        )
        assert found[2], "nobody sees where the focus is"
        seen.append((round(found[0] / 40), found[1]))

    assert seen == sorted(seen)
