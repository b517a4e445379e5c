"""What strangers wrote is shown as what it is: text."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, expect

from perdure.diagnostics.web.links import as_segment
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader, reading
from tests.diagnostics.hostile.inert import assert_inert
from tests.diagnostics.hostile.programs import ended
from tests.diagnostics.hostile.texts import BYTES, TEXTS

pytestmark = IN_BROWSER

SHOWN = {
    name: text
    for name, text in TEXTS.items()
    if text.isprintable() and text.strip()  # the others are shown with escapes, or as nothing
}


@pytest.mark.parametrize("path", ["/?size=200", "/?show=failed", "/?show=stuck", "/queues", "/schedules", "/batches"])
async def test_lists_are_text(reader: Reader, path: str) -> None:
    await reader.open(path)

    await assert_inert(reader.page)
    main = await reader.page.locator("main").inner_text()
    if path in ("/?size=200", "/queues"):
        assert [name for name, text in SHOWN.items() if text not in main] == []


@pytest.mark.parametrize(("name", "text"), TEXTS.items(), ids=TEXTS)
async def test_an_instance_is_text_from_every_side(reader: Reader, name: str, text: str) -> None:
    segment = as_segment(text)
    for path in (
        f"/instances/{segment}?at=0#event-0",
        f"/instances/{segment}/tree",
        f"/instances/{ended(name)}",
        f"/do/instance/{segment}/signal",
    ):
        await reader.open(path)
        await assert_inert(reader.page)
        if text in SHOWN.values() and "ended" not in path:
            assert text in await reader.page.locator("main").inner_text()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_links_lead_there_and_back(reader: Reader, text: str) -> None:
    """From a search to the instance, to one of its events, and through an action back to it."""
    await reader.open(f"/?{urlencode({'workflow': text, 'show': 'running'})}")
    await assert_inert(reader.page)
    await reader.page.locator(f"#instances a[href='/instances/{as_segment(text)}']").click()
    title = await reader.page.locator("h1").inner_text()
    await reader.page.locator(".events a.position").first.click()
    await expect(reader.page.locator("h1")).to_have_text(title)
    await reader.page.get_by_role("link", name="Suspend").click()
    await reader.page.get_by_role("link", name="No, go back").click()

    await expect(reader.page.locator("h1")).to_have_text(title)


@pytest.mark.parametrize(
    "instance_id", [f"{kind} {name}" for kind in ("bytes", "signal") for name in BYTES] + ["bytes closed"]
)
async def test_a_payload_is_text_whatever_its_bytes_are(reader: Reader, instance_id: str) -> None:
    await reader.open(f"/instances/{as_segment(instance_id)}")

    await expect(reader.page.locator("#input h2")).to_have_text("Input")
    await assert_inert(reader.page)


@pytest.mark.parametrize("name", ["long", "no UTF-8"])  # the others are shown whole
async def test_a_payload_that_is_saved_is_no_page(reader: Reader, name: str) -> None:
    await reader.open(f"/instances/{as_segment(f'signal {name}')}")
    page = await reader.page.request.get(reader.page.url)
    links = re.findall(r'href="([^"]+/payload\?[^"]+)"', await page.text())
    assert links
    for link in links:
        answer = await reader.page.request.get(reader.address + link.replace("&amp;", "&"))
        assert await answer.body() == BYTES[name]
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]


@pytest.mark.parametrize("instance_id", [*map(ended, TEXTS), TEXTS["closing"], "bytes no JSON"], ids=ascii)
async def test_a_page_to_take_away_is_text(browser: Browser, reader: Reader, instance_id: str, tmp_path: Path) -> None:
    answer = await reader.page.request.get(f"{reader.address}/instances/{as_segment(instance_id)}/save")
    assert answer.headers["content-disposition"].startswith("attachment;")
    (tmp_path / "run.html").write_bytes(await answer.body())

    async with reading(browser, f"file://{tmp_path}") as alone:
        await alone.open("/run.html")
        await assert_inert(alone.page)
        assert "<script" not in (await answer.text()).lower()


async def test_a_page_to_take_away_has_its_colours(browser: Browser, reader: Reader, tmp_path: Path) -> None:
    """Its policy lets no style in but the one whose hash it names."""
    answer = await reader.page.request.get(f"{reader.address}/instances/{ended('script')}/save")
    (tmp_path / "run.html").write_bytes(await answer.body())

    async with reading(browser, f"file://{tmp_path}") as alone:
        await alone.open("/run.html")
        assert await alone.page.evaluate("getComputedStyle(document.querySelector('.state')).fontWeight") != "400"


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if text.strip()])
async def test_a_form_sends_what_was_asked_for(reader: Reader, name: str) -> None:
    """Escapes are for eyes: what a form sends is the text itself."""
    text = TEXTS[name].strip()
    await reader.open(f"/batches/new/cancel?{urlencode({'prefix': text})}")
    assert await reader.page.locator("form [name=prefix]").input_value() == text
    await reader.open(f"/?{urlencode({'prefix': text})}")

    # A field of one line takes no ends of lines.
    assert await reader.page.locator("#filter [name=prefix]").input_value() == text.replace("\r\n", "")
