"""Everything that can be done on the pages, each asked for, confirmed and seen, with a worker beside."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from examples.approval import approve
from perdure.diagnostics.actions.table import ActionName, Target
from perdure.model.instance import State
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from tests.diagnostics.browser import shop
from tests.diagnostics.browser.filling import GOLD, LAMPS, has_begun, is_stuck
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader, reading
from tests.diagnostics.browser.serving import served_shop
from tests.diagnostics.browser.shop import approved, order, refund, report, subscription
from tests.worker.support import until_async

pytestmark = IN_BROWSER


@pytest.fixture
def mallory_may_pay() -> Iterator[None]:
    shop.refused.clear()
    yield
    shop.refused.add("Mallory")


async def start_approve(perdure: Orchestrator, instance_id: str = "approve-1") -> None:
    await perdure.start(approve.with_options(instance_id=instance_id), "a chair", timedelta(days=3))
    await until_async(lambda: has_begun(perdure, instance_id))


async def do(reader: Reader, label: str, **inputs: str) -> None:
    """Press the action's button on the page that is open, fill the form, and confirm."""
    await reader.page.get_by_role("link", name=label, exact=True).first.click()
    question = reader.page.locator(".question")
    await expect(question.get_by_role("heading")).to_have_text(f"{label}?")
    for name, value in inputs.items():
        await question.locator(f"[name={name}]").fill(value)
    await question.get_by_role("button", name=label).click()


async def assert_told(reader: Reader, text: str) -> None:
    await expect(reader.page.get_by_role("status")).to_contain_text(text)


async def test_a_signal_is_sent(perdure: Orchestrator, steerer: Reader) -> None:
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await do(steerer, "Send a signal", signal="decision", value='{"by": "Ada", "is_granted": true}')

    await assert_told(steerer, "Signal 'decision' was sent to 'approve-1'.")
    assert await perdure.result("approve-1") == "granted by Ada"
    await expect(steerer.page.locator("#ending")).to_contain_text("granted by Ada")


async def test_a_value_that_is_no_json_is_told_and_kept(perdure: Orchestrator, steerer: Reader) -> None:
    steerer.expect_status(400)
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await do(steerer, "Send a signal", signal="decision", value="{yes}")

    await expect(steerer.page.get_by_role("alert")).to_contain_text("Value is no JSON")
    await expect(steerer.page.locator("[name=value]")).to_have_value("{yes}")
    await expect(steerer.page.locator("[name=signal]")).to_have_value("decision")


async def test_an_instance_is_cancelled_with_a_reason(perdure: Orchestrator, steerer: Reader) -> None:
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await do(steerer, "Cancel", reason="nobody needs it")

    await assert_told(steerer, "'approve-1' was asked to cancel.")
    assert await perdure.wait("approve-1") is State.CANCELLED
    await expect(steerer.page.locator("#history")).to_contain_text("cancel requested: nobody needs it")


async def test_an_instance_is_terminated(perdure: Orchestrator, steerer: Reader) -> None:
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await do(steerer, "Terminate", reason="too late")

    assert await perdure.wait("approve-1") is State.TERMINATED
    await expect(steerer.page.locator(".head .state")).to_have_text("terminated")
    await expect(steerer.page.locator("#ending")).to_contain_text("too late")


async def test_an_instance_is_suspended_and_resumed(perdure: Orchestrator, steerer: Reader) -> None:
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await do(steerer, "Suspend")
    await assert_told(steerer, "'approve-1' is suspended.")
    await expect(steerer.page.locator(".head .state")).to_have_text("suspended")
    assert (await perdure.info("approve-1")).suspended

    await do(steerer, "Resume")
    await assert_told(steerer, "'approve-1' goes on.")
    assert not (await perdure.info("approve-1")).suspended


async def test_a_stuck_instance_is_resumed_after_a_fix(url: str, steerer: Reader) -> None:
    async with Orchestrator(url, shop.app) as before:
        await before.start(subscription.with_options(instance_id="subscription-1"), "Bob")
        await until_async(lambda: has_begun(before, "subscription-1"))
    async with Orchestrator(url, shop.deployed) as broken:
        await broken.signal("subscription-1", approved, "Ada")
        await until_async(lambda: is_stuck(broken, "subscription-1"))
    await steerer.open("/?show=stuck")
    await steerer.page.get_by_role("link", name="subscription-1").click()
    await do(steerer, "Resume")

    async with Orchestrator(url, shop.app) as fixed:
        assert await fixed.result("subscription-1") == "Bob: Ada"
    await expect(steerer.page.locator(".head .state")).to_have_text("completed")


async def test_an_activity_that_waits_for_hours_is_tried_at_once(perdure: Orchestrator, steerer: Reader) -> None:
    await perdure.start(refund.with_options(instance_id="refund-1"), "Ada", 4_711)
    await until_async(lambda: waits_for_retry(perdure, "refund-1"))
    await steerer.open("/instances/refund-1")
    await steerer.page.locator("#pending").get_by_role("link", name="Retry now").click()
    await expect(steerer.page.locator("[name=number]")).to_have_value("1")
    await steerer.page.get_by_role("button", name="Retry now").click()

    await assert_told(steerer, "Due now: activity 1 (pay_back).")
    assert await perdure.result("refund-1") == "4711 cents for Ada"


async def waits_for_retry(perdure: Orchestrator, instance_id: str) -> bool:
    return [(each.attempt, each.worker) for each in await perdure.activities(instance_id)] == [(2, None)]


async def test_a_failed_instance_is_rewound(perdure: Orchestrator, steerer: Reader, mallory_may_pay: None) -> None:
    shop.refused.add("Mallory")
    await (await perdure.start(order.with_options(instance_id="order-1"), GOLD)).wait()
    shop.refused.clear()
    await steerer.open("/?show=failed")
    await steerer.page.get_by_role("link", name="order-1").click()
    await do(steerer, "Rewind")

    await assert_told(steerer, "'order-1' was taken back, and goes on from there.")
    await perdure.signal("order-1", approved, "Ada")
    assert (await perdure.result("order-1"))["approved by"] == "Ada"


async def test_an_instance_that_has_ended_is_removed(perdure: Orchestrator, steerer: Reader) -> None:
    await perdure.run(report.with_options(instance_id="report-1"))
    await steerer.open("/instances/report-1")
    await do(steerer, "Remove")

    await assert_told(steerer, "'report-1' was removed.")
    await expect(steerer.page.get_by_text("There are no instances yet.")).to_be_visible()
    assert not await perdure.count()


async def test_a_queue_is_paused_and_resumed(perdure: Orchestrator, steerer: Reader) -> None:
    await perdure.run(order.with_options(instance_id="order-1"), LAMPS)
    await steerer.open("/queues")
    row = steerer.page.locator("#queues tr", has_text="warehouse")
    await row.get_by_role("link", name="Pause").click()
    await steerer.page.get_by_role("button", name="Pause").click()
    await assert_told(steerer, "No activity of queue 'warehouse' begins until it is resumed.")
    await perdure.start(order.with_options(instance_id="order-2"), LAMPS)
    await expect(row.get_by_role("cell").nth(2)).to_have_text("3")
    await expect(row).to_contain_text("paused")

    await row.get_by_role("link", name="Resume").click()
    await steerer.page.get_by_role("button", name="Resume").click()
    assert await perdure.wait("order-2") is State.COMPLETED


async def test_a_schedule_is_paused_resumed_and_run_now(perdure: Orchestrator, steerer: Reader) -> None:
    handle = await perdure.schedule(Schedule("nightly", cron="30 2 * * *"), report)
    await until_async(lambda: has_begun(perdure, "schedule:nightly"))
    await steerer.open("/schedules")
    card = steerer.page.get_by_role("region", name="nightly")
    await card.get_by_role("link", name="Pause").click()
    await steerer.page.get_by_role("button", name="Pause").click()
    await expect(card.get_by_text("paused")).to_be_visible()
    assert (await handle.status()).is_paused

    await card.get_by_role("link", name="Resume").click()
    await steerer.page.get_by_role("button", name="Resume").click()
    await expect(card.get_by_text("paused")).to_have_count(0)

    await card.get_by_role("link", name="Run now").click()
    await steerer.page.get_by_role("button", name="Run now").click()
    await assert_told(steerer, "Schedule 'nightly' started 'nightly@")
    await expect(steerer.page.locator("#ending")).to_contain_text("no news at")


async def test_going_back_does_nothing(perdure: Orchestrator, steerer: Reader) -> None:
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await steerer.page.get_by_role("link", name="Terminate").click()
    await expect(steerer.page.get_by_text("This can't be taken back.")).to_be_visible()
    await steerer.page.get_by_role("link", name="No, go back").click()

    await expect(steerer.page.locator(".head .state")).to_have_text("running")
    assert await perdure.state("approve-1") is State.RUNNING


async def test_an_action_that_comes_too_late_says_so(perdure: Orchestrator, steerer: Reader) -> None:
    await start_approve(perdure)
    await steerer.open("/do/instance/approve-1/suspend")
    await perdure.terminate("approve-1")
    await steerer.page.get_by_role("button", name="Suspend").click()

    await expect(steerer.page.locator("#flash.failed")).to_contain_text("terminated")


async def test_actions_work_without_a_script(browser: Browser, perdure: Orchestrator, address: str) -> None:
    await start_approve(perdure)
    async with reading(browser, address, java_script_enabled=False) as reader:
        await reader.open("/instances/approve-1")
        await do(reader, "Cancel", reason="")

        await assert_told(reader, "was asked to cancel")
    assert await perdure.wait("approve-1") is State.CANCELLED


async def test_who_did_what_is_on_record(
    perdure: Orchestrator, steerer: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure.diagnostics.audit")
    await start_approve(perdure)
    await steerer.open("/instances/approve-1")
    await do(steerer, "Cancel", reason="no")
    await perdure.wait("approve-1")

    assert "'anna': cancel instance 'approve-1': done" in caplog.messages


async def test_who_may_only_look_is_offered_nothing(browser: Browser, perdure: Orchestrator, url: str) -> None:
    await start_approve(perdure)
    with served_shop(url, authorize=None) as address:
        async with reading(browser, address) as reader:
            reader.expect_status(403)
            await reader.open("/instances/approve-1")
            assert await reader.page.locator("a[href*='/do/']").count() == 0
            await expect(reader.page.get_by_role("contentinfo")).to_contain_text("read-only")
            await reader.open("/do/instance/approve-1/cancel")
            await expect(reader.page.get_by_text("You may look, but not do this here.")).to_be_visible()


async def test_who_may_do_some_things_is_offered_these(browser: Browser, perdure: Orchestrator, url: str) -> None:
    def may_cancel(request: Any, action: ActionName, target: Target) -> str | None:
        return "bob" if action is ActionName.CANCEL and target.id.startswith("approve-") else None

    await start_approve(perdure)
    with served_shop(url, authorize=may_cancel) as address:
        async with reading(browser, address) as reader:
            await reader.open("/instances/approve-1")
            offered = reader.page.locator("a[href*='/do/']")
            await expect(offered).to_have_text(re.compile("Cancel"))
            await do(reader, "Cancel", reason="")
    assert await perdure.wait("approve-1") is State.CANCELLED
