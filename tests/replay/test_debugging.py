"""Time travel under pdb."""

from __future__ import annotations

import io

import pytest

from perdure.app import App
from perdure.errors import ConfigurationError, NonDeterminismError
from perdure.replay.debugging import debug_history
from perdure.serialization.saved import SavedHistory
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act
from tests.replay.saving import saved_of


async def helper(ctx: Context) -> str:
    return str(await act(ctx, "first"))


@workflow(name="walk")
async def walk(ctx: Context) -> None:
    taken = await helper(ctx)
    steps = [taken, await act(ctx, "second")]
    await act(ctx, "third", *steps)


app = App(workflows=[walk])


def history() -> SavedHistory:
    """Started, first, its end, second, its end, third."""
    run = Run(walk, app=app)
    run.complete(1, "one")
    run.complete(2, "two")
    return saved_of(run)


def said(commands: str, at_event: int, code: App = app) -> str:
    output = io.StringIO()
    debug_history(history(), code, at_event, stdin=io.StringIO(commands), stdout=output)
    return output.getvalue()


def test_it_stops_at_the_line_that_runs_when_the_event_is_applied() -> None:
    text = said("p taken\nq\n", 4)

    assert 'Event 4 of 6: activity 2 completed with "two"' in text
    assert '-> steps = [taken, await act(ctx, "second")]' in text
    assert "'one'" in text


def test_for_a_command_it_stops_at_the_event_that_led_to_it() -> None:
    assert "Event 2 of 6" in said("q\n", 3)


def test_a_helper_is_stepped_into_and_perdure_is_not() -> None:
    lines = [line for line in said("s\n" * 8 + "q\n", 2).splitlines() if line.startswith("> ")]

    assert lines
    assert all(__file__ in line for line in lines if "/perdure/" in line)
    assert any("helper()" in line for line in lines)


def test_going_on_stops_at_the_next_event_and_ends_where_the_workflow_waits() -> None:
    text = said("b walk\nc\n", 4) + said("c\n", 4)

    assert "The history ends here." in text
    assert 'await act(ctx, "third", *steps)' in text


def test_a_divergence_is_told() -> None:
    @workflow(name="walk")
    async def other(ctx: Context) -> None:
        await helper(ctx)
        await act(ctx, "another")

    with pytest.raises(NonDeterminismError, match="another"):
        said("c\n", 2, App(workflows=[other]))


def test_an_event_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--at takes 0 to 5"):
        said("", 6)
