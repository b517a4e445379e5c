"""Each example's workflows, tested as one would test one's own: with the tester, in milliseconds.

`client_and_worker` is about processes, `django_orders` configures Django for the process that imports it: both are run as
programs, in test_small_examples.py and test_django_orders.py.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from examples import (
    activity_objects,
    approval,
    auction,
    cancellation,
    complex_parameters,
    concurrent_activities,
    continue_as_new,
    errors_and_retries,
    fastapi_orders,
    flask_orders,
    hello,
    queues,
    saga,
    select_first,
    signals,
    sub_workflows,
    timer,
)
from examples.code_census import activities as census_activities
from examples.code_census import workflows as census
from examples.code_census.model import Counts, Package, Progress
from examples.fastapi_orders import service
from examples.scale import orders as scale
from perdure import App, State, UpdateRefused, WorkflowCancelled, WorkflowFailed
from perdure.testing import WorkflowTester, crash_anywhere

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

MakeTester = Callable[..., WorkflowTester]


async def test_hello_greets_all_in_order() -> None:
    async with WorkflowTester(hello.app) as tester:
        assert await tester.run(hello.hello, ["Ada", "Grace"]) == ["Hello, Ada!", "Hello, Grace!"]


@pytest.mark.parametrize(("brewing", "drink"), [(timedelta(seconds=0.1), "tea"), (timedelta(seconds=0.3), "water")])
async def test_timer_gives_up_on_the_tea(brewing: timedelta, drink: str) -> None:
    async with WorkflowTester(timer.app, initial_time=NEW_YEAR) as tester:
        said = tester.on_activity(timer.send, "Time for tea.").once()
        tester.on_activity(timer.brew).returns("tea").after(brewing)

        assert await tester.run(timer.afternoon, 0) == drink
        assert len(said.called) == 1
        assert tester.now == NEW_YEAR + timer.REMINDER + min(brewing, timer.PATIENCE)


async def test_signals_fill_a_basket_that_stays_open_for_weeks() -> None:
    async with WorkflowTester(signals.app) as tester:
        basket = await tester.start(signals.basket)
        tester.at(DAY, lambda: basket.signal(signals.add, signals.Item("tea", 450)))
        tester.at(20 * DAY, lambda: basket.signal(signals.add, signals.Item("cup", 1200)))
        tester.at(30 * DAY, lambda: basket.signal(signals.checkout))

        await tester.advance(2 * DAY)
        assert await basket.read("total", int) == 450
        assert await basket.result() == 1650


async def test_approval_goes_up_after_three_days() -> None:
    async with WorkflowTester(approval.app, initial_time=NEW_YEAR) as tester:
        asked = tester.on_activity(approval.ask)
        handle = await tester.start(approval.approve, "a yacht", 3 * DAY)
        tester.at(4 * DAY, lambda: handle.signal(approval.decision, approval.Decision("Grace", is_granted=False)))

        assert await handle.result() == "refused by Grace"
        assert [call.args[0] for call in asked.called] == ["the team lead", "the director"]


async def test_approval_ends_when_nobody_answers() -> None:
    async with WorkflowTester(approval.app, initial_time=NEW_YEAR) as tester:
        tester.on_activity(approval.ask).times(2)
        assert await tester.run(approval.approve, "a yacht", 3 * DAY) == "nobody answered"
        assert tester.now == NEW_YEAR + 6 * DAY


async def test_approval_survives_a_crash_anywhere() -> None:
    async def scenario(tester: WorkflowTester) -> str:
        handle = await tester.start(approval.approve, "a chair", 3 * DAY)
        tester.at(4 * DAY, lambda: handle.signal(approval.decision, approval.Decision("Grace", is_granted=True)))
        return await handle.result()

    await crash_anywhere(approval.app, scenario)


async def test_auction_refuses_what_is_not_higher() -> None:
    async with WorkflowTester(auction.app, initial_time=NEW_YEAR) as tester:
        handle = await tester.start(auction.auction, 7 * DAY)
        assert await handle.update(auction.Auction.bid, "Ada", 100) == "100 by Ada"
        with pytest.raises(UpdateRefused):
            await handle.update(auction.Auction.bid, "Bob", 90)

        assert await handle.query(auction.Auction.state) == "100 by Ada"
        assert await handle.result() == "Ada"
        assert tester.now == NEW_YEAR + 7 * DAY


async def test_cancellation_undoes_what_was_booked() -> None:
    async with WorkflowTester(cancellation.app) as tester:
        tester.on_activity(cancellation.book_flight).returns("flight").after(timedelta(minutes=1))
        tester.on_activity(cancellation.book_hotel).never()
        undone = tester.on_activity(cancellation.undo, "flight").once()
        handle = await tester.start(cancellation.trip, "Lisbon")
        tester.at(timedelta(seconds=30), handle.cancel)

        with pytest.raises(WorkflowCancelled):
            await handle.result()
        assert len(undone.called) == 1


async def test_a_bank_that_does_not_answer_is_asked_again() -> None:
    async with WorkflowTester(errors_and_retries.app) as tester:
        tester.on_activity(errors_and_retries.charge).raises(ConnectionError("away")).times(4)
        tester.on_activity(errors_and_retries.charge).returns("paid").once()
        assert await tester.run(errors_and_retries.pay, ["visa"], 500) == "paid"


async def test_the_next_card_is_tried() -> None:
    declined = errors_and_retries.CardDeclined("it has expired")
    async with WorkflowTester(errors_and_retries.app) as tester:
        tester.on_activity(errors_and_retries.charge, "old", 500).raises(declined).times(2)
        tester.on_activity(errors_and_retries.charge, "new", 500).returns("paid").once()

        assert await tester.run(errors_and_retries.pay, ["old", "new"], 500) == "paid"
        with pytest.raises(WorkflowFailed, match="none of 1 cards works"):
            await tester.run(errors_and_retries.pay, ["old"], 500)


async def test_select_first_ends_with_time_or_by_the_auctioneer() -> None:
    async with WorkflowTester(select_first.app, initial_time=NEW_YEAR) as tester:
        vase = await tester.start(select_first.auction, "vase", 7 * DAY)
        clock = await tester.start(select_first.auction, "clock", 7 * DAY)
        tester.at(DAY, lambda: clock.signal(select_first.bid, 90))
        tester.at(2 * DAY, lambda: clock.signal(select_first.close))

        assert await clock.result() == "clock: closed at 90"
        assert await vase.result() == "vase: time is up at 40"
        assert await tester.run(select_first.peek.with_options(start_signal=select_first.bid(7)), "lamp") == (
            "a bid of 7 is waiting"
        )


async def test_sub_workflows_can_be_replaced() -> None:
    async with WorkflowTester(sub_workflows.app) as tester:
        tester.on_activity(sub_workflows.bake).calls(lambda what: f"a fine {what}")
        assert await tester.run(sub_workflows.breakfast, ["roll", "pancake"]) == ["a fine roll", "a fine pancake"]

    async with WorkflowTester(sub_workflows.app) as tester:
        tester.on_activity(sub_workflows.bake, "cake").raises(sub_workflows.Burnt("it is black")).once()
        assert await tester.run(sub_workflows.party) == "no cake: it is black"
        assert await tester.state("the-cake") is State.FAILED


@pytest.mark.shuffle_deliveries(runs=5)
async def test_concurrent_activities_give_the_same_total_in_any_order(workflow_tester: MakeTester) -> None:
    async with workflow_tester(concurrent_activities.app) as tester:
        for way in (
            concurrent_activities.with_gather,
            concurrent_activities.with_a_task_group,
            concurrent_activities.three_at_a_time,
        ):
            assert await tester.run(way, 6) == 55


async def test_continue_as_new_keeps_the_balance() -> None:
    async with WorkflowTester(continue_as_new.app) as tester:
        handle = await tester.start(continue_as_new.account)
        for cents in range(1, 8):
            await handle.signal(continue_as_new.deposit, cents)
        await handle.signal(continue_as_new.close)

        assert await handle.result() == 28
        assert len(await tester.executions(handle.instance_id)) == 3


async def test_complex_parameters_come_back_as_what_they_were() -> None:
    parcel = complex_parameters.Parcel(
        id=uuid.UUID(int=7),
        sender=complex_parameters.Sender(name="Ada"),
        size=complex_parameters.Size.SMALL,
        price=Decimal("12.50"),
        ready_at=NEW_YEAR,
        destination="Lisbon",
        contents={"cups": {1, 2}},
    )
    async with WorkflowTester(complex_parameters.app) as tester:
        assert await tester.run(complex_parameters.dispatch, parcel) == (parcel, timedelta(minutes=4))


async def test_activity_objects_are_made_by_the_lifespan_or_mocked(capsys: pytest.CaptureFixture[str]) -> None:
    async with WorkflowTester(activity_objects.app) as tester:
        assert await tester.run(activity_objects.restock, "tea") == 42
    assert capsys.readouterr().out == "opened\nclosed\n"

    async with WorkflowTester(activity_objects.app, lifespan=False) as tester:
        tester.on_activity(activity_objects.Stock.put).times(2)
        tester.on_activity(activity_objects.Stock.count, "tea").returns(7)
        assert await tester.run(activity_objects.restock, "tea") == 7
    assert capsys.readouterr().out == ""


async def test_queues_that_are_limited_take_their_time() -> None:
    async with WorkflowTester(queues.app, initial_time=NEW_YEAR, queues=["default", "web", "gpu"]) as tester:
        recognised = tester.on_activity(queues.recognise).returns("a cat")
        await tester.queues.set_limits("web", per_second=1)
        assert await tester.run(queues.describe, ["a", "b", "c"]) == ["a cat"] * 3
        assert len(recognised.called) == 3
        assert tester.now - NEW_YEAR >= timedelta(seconds=2)


async def test_a_saga_is_taken_back_from_its_end() -> None:
    async with WorkflowTester(saga.app) as tester:
        tester.on_activity(saga.book_flight).calls(lambda city: f"flight to {city}")
        tester.on_activity(saga.book_hotel, "Porto").returns("hotel in Porto")
        tester.on_activity(saga.book_hotel, "Lisbon").raises(saga.SoldOut("no room"))
        given_back = tester.on_activity(saga.give_back).times(3)

        with pytest.raises(WorkflowFailed, match="no room"):
            await tester.run(saga.trip, ["Porto", "Lisbon"])
        assert [call.args for call in given_back.called] == [
            ("flight to Lisbon",),
            ("hotel in Porto",),
            ("flight to Porto",),
        ]


async def test_a_flask_services_tenant_travels_along() -> None:
    async with WorkflowTester(flask_orders.app) as tester:
        flask_orders.tenant.set("acme")
        assert await tester.run(flask_orders.fulfil, "cup") == "a cup for acme"


async def test_a_fastapi_services_workflow() -> None:
    assert fastapi_orders.__doc__
    async with WorkflowTester(service.app) as tester:
        assert await tester.run(service.fulfil, "cup") == "a parcel with a cup"


async def test_scales_orders_are_reserved_then_charged() -> None:
    async with WorkflowTester(scale.app) as tester:
        tester.on_activity(scale.reserve, 7).returns("here").once()
        tester.on_activity(scale.charge, 7).returns("there").once()
        assert await tester.run(scale.order, 7) == ["here", "there"]


@pytest.mark.shuffle_deliveries(runs=3)
async def test_a_census_is_paused_and_goes_on(workflow_tester: MakeTester) -> None:
    app = App(
        workflows=[census.census, census.count_package],
        activities=[census_activities.find_packages, census_activities.FileCounter()],
    )
    async with workflow_tester(app) as tester:
        packages = [Package("one", ["one/a.py", "one/b.py"]), Package("two", ["two/c.py"])]
        tester.on_activity(census_activities.find_packages).returns(packages)
        broken = census_activities.DoesNotParse("line 3")
        tester.on_activity(census_activities.FileCounter.count_file, Path("src"), "one/b.py").raises(broken)
        tester.on_activity(census_activities.FileCounter.count_file).returns(Counts(files=1, lines=10)).after(DAY)
        handle = await tester.start(census.census, Path("src"))
        tester.at(timedelta(hours=1), lambda: handle.signal(census.paused, True))
        tester.at(2 * DAY, lambda: handle.signal(census.paused, False))

        await tester.advance(1.5 * DAY)
        assert (await handle.read("progress", Progress)).is_paused
        found = await asyncio.wait_for(handle.result(), 10)
        assert found.total == Counts(files=2, lines=20)
        assert found.unreadable == ["one/b.py: line 3"]
