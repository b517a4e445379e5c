from __future__ import annotations

import pytest

from benchmarks.cases.one_activity import expected
from benchmarks.verification import Expected, NotAsCounted, check, number_of
from benchmarks.workload import app, one_activity, steps_in_a_row
from perdure import App, Context, Limits, Orchestrator, workflow


async def test_an_instance_that_nobody_counted_is_noticed() -> None:
    async with Orchestrator("memory://", app) as perdure:
        await perdure.run(one_activity.with_options(instance_id="order-0"), 0)
        await perdure.run(steps_in_a_row, 1)

        with pytest.raises(NotAsCounted):
            await check(perdure, expected("order-", 1))
        await check(perdure, expected("order-", 1), is_all=False)


@workflow
async def many_side_effects(ctx: Context, number: int) -> int:
    for _ in range(number):
        await ctx.side_effect(int)
    return number


async def test_the_one_suggestion_to_continue_as_new_is_no_fault() -> None:
    number = Limits().warn_events
    of_it = Expected(
        workflow=many_side_effects,
        count=1,
        result=lambda _: number,
        events=("ExecutionStarted", *("SideEffectRecorded",) * number, "ExecutionCompleted"),
    )
    async with Orchestrator("memory://", App(workflows=[many_side_effects])) as perdure:
        await perdure.run(many_side_effects, number)

        checked = await check(perdure, of_it)

    assert checked["events"] in {number + 2, number + 3}


@pytest.mark.parametrize(("instance_id", "number"), [("order-00000012", 12), ("order-2-00000003", 3), ("waits-0", 0)])
def test_the_number_of_an_id_is_its_end(instance_id: str, number: int) -> None:
    assert number_of(instance_id) == number
