"""The history of an instance, event by event."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, expect

from tests.diagnostics.browser.filling import LONG
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader

pytestmark = IN_BROWSER


def events(reader: Reader) -> Locator:
    return reader.page.locator(".events > li")


async def positions(reader: Reader) -> list[int]:
    return [int(text.lstrip("#")) for text in await reader.page.locator(".events a.position").all_inner_texts()]


async def turn(reader: Reader, name: str) -> None:
    """To another part of the history."""
    before = reader.page.url
    await (
        reader.page.get_by_role("navigation", name="Parts of the history")
        .first.get_by_role("link", name=name, exact=True)
        .click()
    )
    await reader.page.wait_for_url(lambda url: url != before)


async def test_a_long_history_shows_its_end_and_can_be_walked_from_its_beginning(reader: Reader) -> None:
    await reader.open(f"/instances/long-{LONG}")
    assert (await positions(reader))[-1] == LONG - 1
    await turn(reader, "First")
    seen = await positions(reader)
    for _ in range(3):
        await turn(reader, "Later")
        seen += await positions(reader)

    assert seen == list(range(400))
    await turn(reader, "Earlier")
    assert (await positions(reader))[0] == 200
    await turn(reader, "Last")
    assert (await positions(reader))[-1] == LONG - 1


async def test_an_event_opens_with_its_payload_indented(reader: Reader) -> None:
    await reader.open("/instances/order-4711")
    await events(reader).first.locator("summary").click()

    await expect(events(reader).first.locator("pre").first).to_contain_text('\n    "customer": "Ada",\n')


@pytest.mark.parametrize(
    ("family", "kinds"),
    [
        ("activities", {"ActivityScheduled", "ActivityCompleted"}),
        ("timers", {"TimerSet", "TimerFired"}),
        ("sub-workflows", {"SubWorkflowScheduled", "SubWorkflowCompleted"}),
        ("side effects", {"SideEffectRecorded"}),
    ],
)
async def test_events_can_be_filtered_by_what_they_are_about(reader: Reader, family: str, kinds: set[str]) -> None:
    await reader.open("/instances/order-4711")
    await reader.page.get_by_role("combobox", name="Events").select_option(family)
    await reader.page.locator("#history-filter").get_by_role("button", name="Filter").click()
    await reader.page.wait_for_url(re.compile("family="))

    assert set(await events(reader).locator(".kind").all_inner_texts()) == kinds


async def test_events_can_be_filtered_by_what_they_hold(reader: Reader) -> None:
    await reader.open("/instances/trip-lisbon")
    await reader.page.get_by_label("that hold").fill("NO ROOM")
    await reader.page.get_by_label("that hold").press("Enter")
    await reader.page.wait_for_url(re.compile("text="))

    found = await events(reader).locator(".kind").all_inner_texts()
    assert found == ["ActivityFailed", "ExecutionFailed"]


async def test_a_text_is_found_deep_in_a_long_history(reader: Reader) -> None:
    await reader.open(f"/instances/long-{LONG}?text=4321")

    found = [await row.text_content() or "" for row in await events(reader).locator("pre").all()]
    assert found == ["[\n  4321\n]"]


async def test_the_permalink_of_an_event_opens_it(reader: Reader) -> None:
    await reader.open(f"/instances/long-{LONG}?after=4999")
    link = await reader.page.locator(".events a.position", has_text="5005").get_attribute("href")
    assert link is not None
    await reader.page.goto("about:blank")
    await reader.open(link)

    event = reader.page.locator("#event-5005")
    await expect(event).to_have_attribute("open", "")
    await expect(event).to_be_in_viewport()


async def test_a_payload_can_be_saved_whole(reader: Reader) -> None:
    await reader.open("/instances/order-4711")
    for link in await reader.page.locator("a[href*='/payload?']").all():
        answer = await reader.page.request.get(reader.address + (await link.get_attribute("href") or ""))
        assert answer.ok
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "html" not in answer.headers["content-type"]
