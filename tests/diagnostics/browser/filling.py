"""A store in which something of everything has happened, by real workflows and workers; and many instances besides."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.filling import fill, fill_long
from examples.approval import Decision, approve, decision
from examples.auction import Auction, auction
from examples.continue_as_new import account, deposit
from examples.errors_and_retries import pay
from examples.saga import trip
from examples.sub_workflows import breakfast, party
from perdure.client.client import Client
from perdure.model.instance import State
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from tests.diagnostics.browser.shop import (
    QUEUES,
    Item,
    Order,
    app,
    approved,
    delivery,
    deployed,
    order,
    refund,
    report,
    subscription,
)
from tests.worker.support import until_async

LAMPS = Order("Ada", [Item("lamp", 2), Item("shade"), Item("bulb", 12)], 4_711)
GOLD = Order("Mallory", [Item("gold")], 99_999)
PIANO = Order("Grace", [Item("piano"), Item("stool")], 890_000)

ENDED, WAITING, LONG = 19_000, 1_000, 10_000


async def fill_shop(url: str) -> None:
    """Instances of every state, and of every kind of trouble."""
    async with Orchestrator(url, app, queues=QUEUES) as perdure:
        await _end(perdure)
        await _wait(perdure)
        await _schedule(perdure)
        await _limit(perdure)
    async with Orchestrator(url, deployed, cache_size=0) as perdure:
        await perdure.signal("subscription-stuck", approved, "Bob")
        await until_async(lambda: is_stuck(perdure, "subscription-stuck"))
    async with Client(url) as client:  # nobody has begun it yet
        await client.start(delivery.with_options(instance_id="delivery-new", queue="nobody"), "parcel 1")


async def fill_many(url: str) -> None:
    """Some 20,000 instances, and one with 10,000 events. They are older than what comes later."""
    await fill(url, ended=ENDED, waiting=WAITING)
    await fill_long(url, events=LONG)


def age(path: Path, instance_id: str, by: timedelta) -> None:
    """Let nothing have happened to the instance for so long: nobody waits for that."""
    micros = int(by.total_seconds() * 1_000_000)
    with closing(sqlite3.connect(path)) as connection, connection:
        change = "update perdure_instances set updated_at = updated_at - ? where instance_id = ?"
        assert connection.execute(change, [micros, instance_id]).rowcount == 1


async def _end(perdure: Orchestrator) -> None:
    """Those that end, in each of the ways."""
    tagged = order.with_options(instance_id="order-4711", tags={"region": "eu", "customer": "Ada"})
    await perdure.run(tagged, LAMPS)
    await perdure.run(delivery.with_options(instance_id="delivery-1"), "parcel 1")
    await perdure.run(delivery.with_options(instance_id="delivery-large"), "parcel " + 3_000 * "and another ")
    for failing in (
        perdure.start(trip.with_options(instance_id="trip-lisbon"), ["Porto", "Lisbon"]),
        perdure.start(pay.with_options(instance_id="pay-old-card"), ["old card"], 500),
        perdure.start(order.with_options(instance_id="order-mallory"), GOLD),
    ):
        handle = await failing
        await handle.wait()
    await perdure.run(party.with_options(instance_id="party"))
    await perdure.run(breakfast.with_options(instance_id="breakfast"), ["roll", "pancake", "egg"])

    granted = await perdure.start(approve.with_options(instance_id="approve-granted"), "a chair", timedelta(days=3))
    await granted.signal(decision, Decision("Ada", is_granted=True))
    await granted.wait()
    for instance_id in ("approve-cancelled", "approve-terminated"):
        await perdure.start(approve.with_options(instance_id=instance_id), "a yacht", timedelta(days=3))
        await until_async(lambda each=instance_id: has_begun(perdure, each))  # type: ignore[misc]
    await perdure.cancel("approve-cancelled", "nobody wants a yacht")
    await perdure.terminate("approve-terminated", "by the auditors")
    await perdure.wait("approve-cancelled")

    sold = await perdure.start(auction.with_options(instance_id="auction-sold"), timedelta(milliseconds=400))
    await sold.update(Auction.bid, "Ada", 100)
    await sold.wait()


async def _wait(perdure: Orchestrator) -> None:
    """Those that go on, held up by whatever there is."""
    await perdure.start(order.with_options(instance_id="order-4712", tags={"region": "us"}), PIANO)
    await perdure.start(approve.with_options(instance_id="approve-waiting"), "a chair", timedelta(days=3))
    await perdure.start(approve.with_options(instance_id="approve-suspended"), "a desk", timedelta(days=3))
    await perdure.start(refund.with_options(instance_id="refund-waiting"), "Ada", 4_711)
    await perdure.start(subscription.with_options(instance_id="subscription-stuck"), "Bob")
    await perdure.start(subscription.with_options(instance_id="subscription-old"), "Carol")
    await perdure.start(account.with_options(instance_id="account-1"))
    for cents in range(1, 11):
        await perdure.signal("account-1", deposit, cents)
    await until_async(lambda: _waits_for_retry(perdure, "refund-waiting"))
    for instance_id in ("approve-waiting", "approve-suspended", "subscription-stuck", "subscription-old"):
        await until_async(lambda each=instance_id: has_begun(perdure, each))  # type: ignore[misc]
    await until_async(lambda: _needs_approval(perdure))
    await perdure.suspend("approve-suspended")
    await perdure.signal("approve-suspended", decision, Decision("Ada", is_granted=True))
    await until_async(lambda: _has_continued(perdure))


async def _schedule(perdure: Orchestrator) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    often = await perdure.schedule(Schedule("report-often", every=timedelta(hours=1), start_at=soon), report)
    await perdure.schedule(Schedule("report-nightly", cron="30 2 * * *", timezone="Europe/Berlin"), report)
    paused = await perdure.schedule(Schedule("report-paused", cron="@weekly"), report)
    await (await often.trigger()).wait()
    await paused.pause()

    async def is_paused() -> bool:
        return (await paused.status()).is_paused

    async def has_run() -> bool:
        return any(run.state == "completed" for run in (await often.status()).recent)

    await until_async(is_paused)
    await until_async(has_run)


async def _limit(perdure: Orchestrator) -> None:
    """One queue may do little at a time, another one nothing, and an order waits for it."""
    await perdure.queues.set_limits("printer", at_once=2, per_second=5)
    await perdure.queues.pause("warehouse")
    await perdure.start(order.with_options(instance_id="order-4713"), LAMPS)
    await until_async(lambda: has_begun(perdure, "order-4713"))


async def has_begun(client: Client, instance_id: str) -> bool:
    return (await client.info(instance_id)).history_length > 0


async def is_stuck(client: Client, instance_id: str) -> bool:
    return (await client.info(instance_id)).stuck is not None


async def has_ended(client: Client, instance_id: str) -> bool:
    return (await client.state(instance_id)) is not State.RUNNING


async def _waits_for_retry(client: Client, instance_id: str) -> bool:
    return [(each.attempt, each.worker) for each in await client.activities(instance_id)] == [(2, None)]


async def _needs_approval(client: Client) -> bool:
    """The piano is charged, and somebody must approve it."""
    kinds = [type(each.event).__name__ async for each in client.history("order-4712")]
    return kinds[-1] == "TimerFired"


async def _has_continued(client: Client) -> bool:
    executions = await client.executions("account-1")
    return len(executions) == 4 and executions[-1].history_length > 2
