"""What pages look like: on a phone, by night, and without a script."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader, reading

pytestmark = IN_BROWSER

PAGES = [
    "/",
    "/?show=stuck",
    "/?find=nobody has this",
    "/instances/order-4711",
    "/instances/order-4712",
    "/instances/trip-lisbon",
    "/instances/subscription-stuck",
    "/instances/refund-waiting",
    "/instances/account-1",
    "/instances/order-4711/tree",
    "/instances/long-10000",
    "/queues",
    "/schedules",
    "/batches",
    "/do/instance/order-4712/signal",
    "/batches/new/cancel?workflow=order",
]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
_LUMINANCE = """() => {
    const [r, g, b] = getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number);
    return (r + g + b) / 3;
}"""


@pytest.mark.parametrize(("width", "options"), [(390, PHONE), (1280, {})])
async def test_every_page_fits_the_screen(
    browser: Browser, full_address: str, width: int, options: dict[str, Any]
) -> None:
    """Also when all of it is open."""
    too_wide: dict[str, int] = {}
    async with reading(browser, full_address, **options) as reader:
        for path in PAGES:
            await reader.open(path)
            await reader.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            needed = await reader.page.evaluate("document.scrollingElement.scrollWidth")
            if needed > width:
                too_wide[path] = needed

    assert too_wide == {}


async def test_every_page_says_the_same_without_a_script(browser: Browser, reader: Reader, full_address: str) -> None:
    """And shows nothing that could only be pressed with one."""
    async with reading(browser, full_address, java_script_enabled=False) as plain:
        for path in PAGES:
            await reader.open(path)
            await plain.open(path)
            headings = [
                await each.page.locator("main").locator("h1, th, dt").all_inner_texts() for each in (reader, plain)
            ]
            assert headings[0] == headings[1], path
            assert await plain.page.locator("[data-live-switch], [data-theme-switch]").filter(visible=True).count() == 0


async def test_without_a_script_one_can_filter_page_and_open_events(browser: Browser, full_address: str) -> None:
    async with reading(browser, full_address, java_script_enabled=False) as reader:
        await reader.open("/")
        await reader.page.get_by_label("Id holds").fill("order-4711")
        await reader.page.get_by_role("button", name="Filter").click()
        await reader.page.get_by_role("link", name="order-4711", exact=True).click()
        await reader.page.locator(".events summary").first.click()

        await expect(reader.page.locator(".events pre").first).to_be_visible()


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
async def test_colours_are_those_of_the_readers_system(
    browser: Browser, full_address: str, scheme: str, is_dark: bool
) -> None:
    async with reading(browser, full_address, color_scheme=scheme) as reader:
        await reader.open("/")

        assert (await reader.page.evaluate(_LUMINANCE) < 100) is is_dark


async def test_colours_can_be_switched_and_stay_so(reader: Reader) -> None:
    await reader.open("/")
    await reader.page.get_by_role("button", name="Switch between light and dark").click()
    assert await reader.page.evaluate(_LUMINANCE) < 100

    await reader.open("/queues")
    assert await reader.page.evaluate(_LUMINANCE) < 100
    await reader.page.get_by_role("button", name="Switch between light and dark").click()
    assert await reader.page.evaluate(_LUMINANCE) > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/instances/order-4711", "/instances/subscription-stuck", "/queues"])
async def test_text_can_be_read(browser: Browser, full_address: str, path: str, scheme: str) -> None:
    """Its contrast is 4.5 at least, as WCAG 2 asks for (AA)."""
    async with reading(browser, full_address, color_scheme=scheme) as reader:
        await reader.open(path)

        assert await reader.page.evaluate(_FAINT) == []


_FAINT = """() => {
    const channels = (text) => text.match(/[\\d.]+/g).map(Number);
    const linear = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const over = (top, below) => top.length < 4 ? top : [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
    const behind = (element) => {
        if (!element) return [255, 255, 255];
        const own = channels(getComputedStyle(element).backgroundColor);
        return own.length < 4 || own[3] === 1 ? own : over(own, behind(element.parentElement));
    };
    const faint = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip")) continue;
        const [text, back] = [channels(getComputedStyle(element).color), behind(element)].map((each) => each.slice(0, 4));
        const [a, b] = [luminance(over(text, back)), luminance(back)].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < 4.5) faint.add(`${contrast.toFixed(2)} ${element.localName}.${element.className}: ${walker.currentNode.data.trim().slice(0, 30)}`);
    }
    return [...faint].slice(0, 10);
}"""
