"""Two runs, step by step."""

from __future__ import annotations

import msgspec

from perdure.app import App
from perdure.replay.diffing import RunDiff, compare_runs
from perdure.serialization.saved import SavedHistory
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import SECOND, Run, act
from tests.replay.saving import saved_of


@workflow(name="baking")
async def baking(ctx: Context, kind: str, is_hungry: bool) -> None:
    await act(ctx, "mix", kind)
    if is_hungry:
        await act(ctx, "taste")
    await act(ctx, "bake")
    await ctx.execute_sub_workflow(eating)


@workflow
async def eating(ctx: Context) -> None: ...


app = App(workflows=[baking, eating])


def run(kind: str, *, is_hungry: bool = False, later: int = 0, execution_id: bytes = bytes(16)) -> SavedHistory:
    going = Run(baking, kind, is_hungry, app=app, begin=False, execution_id=execution_id)
    going.now += later * SECOND
    going.feed(going.started)
    while going.activities:
        number, new = next(iter(going.activities.items()))
        going.complete(number, f"{new.name} is done")
    return saved_of(going)


def shown(found: RunDiff) -> list[str]:
    return [f"{line.sign}{line.event}" for line in found.lines]


def test_the_same_steps_at_another_time_are_no_difference() -> None:
    found = compare_runs(run("bread"), run("bread", later=60, execution_id=bytes(range(16))), app.payloads)

    assert (found.is_same, found.common) == (True, 6)


def test_a_step_of_one_run_alone_is_shown_between_its_neighbours() -> None:
    found = compare_runs(run("bread"), run("bread", is_hungry=True), app.payloads)

    assert [line for line in shown(found) if "taste" in line] == [
        "+activity 2: taste[[]]",
        '+activity 2 completed with "taste is done"',
    ]


def test_a_step_with_another_value_is_shown_with_both() -> None:
    found = compare_runs(run("bread"), run("cake"), app.payloads)

    assert [(line.event, line.other) for line in found.lines if line.sign == "~"] == [
        ('start of baking["bread",false]', 'start of baking["cake",false]'),
        ('activity 1: mix[["bread"]]', 'activity 1: mix[["cake"]]'),
    ]


def test_common_steps_far_from_a_difference_are_left_out() -> None:
    longer = run("bread")
    shorter = msgspec.structs.replace(longer, events=longer.events[:-1])

    found = compare_runs(longer, shorter, app.payloads)

    assert found.common == 5
    assert [line.first for line in found.lines] == [2, 3, 4, 5]
