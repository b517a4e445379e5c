"""Crash anywhere: nothing is found where nothing is wrong, and each planted bug is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from perdure import App, ConfigurationError, Context, Signal, activity, activity_context, workflow
from perdure.testing import TroubleFound, WorkflowTester, crash_anywhere, shuffle_deliveries
from tests.testing import planted

ROOT = Path(__file__).parents[2]
go = Signal("go", str)
done: dict[str, int] = {}
order: list[int] = []


@activity(idempotent=True)
async def pack(number: int) -> int:
    await asyncio.sleep(0)
    return number


@activity(idempotent=True)
def weigh(number: int) -> int:
    return number * 10


@activity(idempotent=True)
async def pay(key: str) -> str:
    """Idempotent by its key."""
    done[key] = done.get(key, 0) or 1
    return "paid"


@activity
async def unsure(number: int) -> int:
    order.append(number)
    return number


@workflow
async def orders(ctx: Context) -> str:
    async with asyncio.TaskGroup() as group:
        packed = [group.create_task(ctx.execute_activity(pack, number)) for number in range(3)]
    word = await ctx.signal_channel(go).receive()
    await ctx.sleep(timedelta(days=3))
    weight = await ctx.execute_sub_workflow(weighs, sum(each.result() for each in packed))
    drawn = ctx.side_effect(lambda: "drawn")
    return f"{word} {weight} {await drawn} {await ctx.execute_activity(pay, 'order-7')}"


@workflow
async def weighs(ctx: Context, number: int) -> int:
    if number < 5:
        ctx.continue_as_new(weighs, number + 1)
    return await ctx.execute_activity(weigh, number)


@workflow
async def side_by_side(ctx: Context) -> list[int]:
    return await asyncio.gather(*[ctx.execute_activity(unsure, number) for number in range(4)])


@workflow
async def first_of_two(ctx: Context) -> int:
    """Deliberately a race."""
    futures = [ctx.execute_activity(pack, number) for number in range(2)]
    ended, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    result = futures.index(next(iter(ended)))
    await asyncio.gather(*futures)
    return result


@workflow
async def draws(ctx: Context) -> float:
    return ctx.random.random() + await ctx.execute_activity(weigh, 1)


app = App(workflows=[orders, weighs, side_by_side, first_of_two, draws], activities=[pack, weigh, pay, unsure])


async def order_comes_through(tester: WorkflowTester) -> str:
    handle = await tester.start(orders)
    tester.at(timedelta(days=1), lambda: handle.signal(go, "went"))
    return await handle.result()


async def found_in(
    scenario: Callable[[WorkflowTester], Awaitable[object]], app: App = planted.app, **options: object
) -> str:
    with pytest.raises(TroubleFound) as found:
        await crash_anywhere(app, scenario, **options)  # type: ignore[arg-type]
    return str(found.value)


async def test_nothing_is_found_where_nothing_is_wrong() -> None:
    await crash_anywhere(app, order_comes_through)


async def test_an_activity_that_is_not_declared_idempotent_is_named_with_how_often_it_ran() -> None:
    found = await found_in(planted.is_charged_once, processes=0)
    assert "activity charge ran 2 times for one attempt (in 1 of " in found
    assert "isn't declared idempotent" in found


async def test_an_activity_that_is_wrongly_declared_idempotent_fails_the_tests_own_assertion() -> None:
    found = await found_in(planted.is_charged_once_by_the_one_with_a_claim, processes=0)
    assert "the test fails: AssertionError" in found
    assert "planted.py:" in found


@pytest.mark.needs_cache  # else it shows without any trouble
async def test_a_side_effect_outside_of_side_effect_is_found() -> None:
    found = await found_in(planted.writes_one_letter, processes=0)
    assert "the test returns ['Dear Ada', 'Dear Ada'] instead of ['Dear Ada']" in found


async def test_iteration_over_a_set_is_found() -> None:
    found = await found_in(planted.notes_all)
    assert "in a new process, with another order of sets: iterates_over_a_set doesn't replay" in found


@pytest.mark.needs_cache
@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (planted.times_itself, "reads_a_clock doesn't replay"),
        (planted.gives_the_time, "returns_a_clock gives another result in replay"),
        (planted.is_of_this_century, "decides_by_a_clock uses time.time in a workflow"),
    ],
)
async def test_a_clock_that_is_read_is_found(
    scenario: Callable[[WorkflowTester], Awaitable[None]], expected: str
) -> None:
    assert expected in await found_in(scenario, processes=0)


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (planted.sleeps_well, "swallows_its_cancel was cancelled, and completed: it swallowed the CancelledError"),
        (planted.is_started, "swallows_its_cancel_and_goes_on was cancelled, and goes on"),
    ],
)
async def test_a_swallowed_cancellation_is_found(
    scenario: Callable[[WorkflowTester], Awaitable[None]], expected: str
) -> None:
    assert expected in await found_in(scenario, processes=0)
    await crash_anywhere(planted.app, scenario, cancel=False, processes=0)


@pytest.mark.needs_cache
async def test_state_in_a_global_is_found() -> None:
    planted.prices.clear()
    found = await found_in(planted.knows_the_price, processes=0)
    assert "keeps_prices_in_a_global doesn't replay" in found


async def test_a_finding_comes_with_a_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await found_in(planted.is_charged_once, processes=0)
    this = "tests/testing/test_crash_anywhere.py::test_a_finding_comes_with_a_command_that_repeats_it"
    assert f"PERDURE_SEED=0 PERDURE_TROUBLE=before:2 python -m pytest {this}" in found

    monkeypatch.setenv("PERDURE_TROUBLE", "before:2")
    assert "found in 1 runs with trouble" in await found_in(planted.is_charged_once, processes=0)

    monkeypatch.setenv("PERDURE_TROUBLE", "after:2")
    await crash_anywhere(planted.app, planted.is_charged_once, processes=0)


async def test_all_chance_of_a_run_is_the_seeds_and_that_of_the_environment_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []

    async def scenario(tester: WorkflowTester) -> str:
        handle = await tester.start(draws)
        drawn.append(f"{handle.instance_id[-10:]} {await handle.result()}")
        return drawn[-1]

    async def drawn_with(seed: int) -> set[str]:
        drawn.clear()
        await crash_anywhere(app, scenario, seed=seed, processes=0)
        return set(drawn)

    first = await drawn_with(1)
    assert len(first) == 1
    assert first != await drawn_with(2)
    monkeypatch.setenv("PERDURE_SEED", "1")
    assert first == await drawn_with(2)
    monkeypatch.setenv("PERDURE_SEED", "one")
    with pytest.raises(ConfigurationError, match="PERDURE_SEED='one' must be a whole number"):
        await drawn_with(2)


@pytest.mark.crash_anywhere(processes=0)
async def test_the_mark_runs_a_test_with_its_fixture_again_and_again(
    workflow_tester: Callable[..., WorkflowTester],
) -> None:
    async with workflow_tester(app) as tester:
        paid = tester.on_activity(pay).returns("paid", "paid twice").once()
        assert await order_comes_through(tester) == "went 50 drawn paid"
        assert len(paid.called) == 1


def test_a_marked_test_fails_with_what_was_found_and_a_wrong_mark_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "test_marked.py").write_text(
        """
import pytest
from tests.testing import planted

@pytest.mark.crash_anywhere(processes=0)
async def test_charging(workflow_tester):
    async with workflow_tester(planted.app) as tester:
        await planted.is_charged_once(tester)

@pytest.mark.crash_anywhere
async def test_without_the_fixture():
    pass
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    assert "activity charge ran 2 times" in done.stdout
    assert "PERDURE_SEED=0 PERDURE_TROUBLE=before:2 python -m pytest test_marked.py::test_charging" in done.stdout
    assert "takes its testers from the fixture workflow_tester" in done.stdout


@pytest.mark.shuffle_deliveries(runs=10)
async def test_the_other_mark_shuffles(workflow_tester: Callable[..., WorkflowTester]) -> None:
    async with workflow_tester(app) as tester:
        assert await order_comes_through(tester) == "went 50 drawn paid"


async def test_activities_begin_in_other_orders_when_deliveries_are_shuffled() -> None:
    orders_seen: set[tuple[int, ...]] = set()

    async def scenario(tester: WorkflowTester) -> None:
        order.clear()
        assert await tester.run(side_by_side) == [0, 1, 2, 3]
        orders_seen.add(tuple(order))

    await shuffle_deliveries(app, scenario, runs=20)
    assert len(orders_seen) > 5


async def test_a_race_has_both_outcomes_and_an_assertion_about_it_fails() -> None:
    async def scenario(tester: WorkflowTester) -> None:
        assert await tester.run(first_of_two) == 0

    with pytest.raises(TroubleFound, match=r"the test fails: .*\n  PERDURE_SEED=0 PERDURE_TROUBLE=shuffle:"):
        await shuffle_deliveries(app, scenario, runs=20)


async def test_threads_are_shuffled_too() -> None:
    @activity
    def waits_in_a_thread(number: int) -> int:
        return number + activity_context().attempt

    @workflow
    async def uses_threads(ctx: Context) -> int:
        return sum(await asyncio.gather(*[ctx.execute_activity(waits_in_a_thread, number) for number in range(3)]))

    async def scenario(tester: WorkflowTester) -> None:
        assert await tester.run(uses_threads) == 6

    await shuffle_deliveries(App(workflows=[uses_threads], activities=[waits_in_a_thread]), scenario, runs=5)


async def test_a_test_that_fails_anyway_fails_as_it_is() -> None:
    async def scenario(tester: WorkflowTester) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crash_anywhere(app, scenario)


async def test_a_test_may_end_while_deliveries_are_held_back() -> None:
    async def scenario(tester: WorkflowTester) -> None:
        await tester.start(orders)
        await tester.advance(timedelta(seconds=1))
        await tester.start(side_by_side)

    await shuffle_deliveries(app, scenario, runs=3)


@workflow
async def copies(ctx: Context, size: int) -> str:
    return await ctx.execute_activity(repeat, size)


@activity(idempotent=True)
async def repeat(size: int) -> str:
    return "x" * size


async def test_large_payloads_change_nothing() -> None:
    async def scenario(tester: WorkflowTester) -> str:
        return await tester.run(copies, 300_000)

    await crash_anywhere(App(workflows=[copies], activities=[repeat]), scenario, processes=0)
