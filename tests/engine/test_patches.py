"""W12: code changes behind ctx.patched, and later ctx.deprecate_patch, in every history that there can be."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.errors import NonDeterminismError
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act


@workflow(name="w")
async def original(ctx: Context) -> list[Any]:
    return [await act(ctx, "first"), await act(ctx, "old"), await act(ctx, "last")]


@workflow(name="w")
async def patched(ctx: Context) -> list[Any]:
    first = await act(ctx, "first")
    middle = await act(ctx, "new" if ctx.patched("p") else "old")
    return [first, middle, await act(ctx, "last")]


@workflow(name="w")
async def deprecated(ctx: Context) -> list[Any]:
    first = await act(ctx, "first")
    ctx.deprecate_patch("p")
    return [first, await act(ctx, "new"), await act(ctx, "last")]


@workflow(name="w")
async def cleaned(ctx: Context) -> list[Any]:
    return [await act(ctx, "first"), await act(ctx, "new"), await act(ctx, "last")]


VERSIONS = {"original": original, "patched": patched, "deprecated": deprecated, "cleaned": cleaned}

# The code that made the history, how many activities had completed, the code that goes on -> does it replay?
ALLOWED = {
    ("original", 0): {"original", "patched", "deprecated", "cleaned"},  # the patched place isn't reached
    ("original", 1): {"original", "patched"},
    ("original", 2): {"original", "patched"},
    ("original", 3): {"original", "patched"},
    ("patched", 0): {"original", "patched", "deprecated", "cleaned"},
    ("patched", 1): {"patched", "deprecated"},  # the marker stands
    ("patched", 2): {"patched", "deprecated"},
    ("patched", 3): {"patched", "deprecated"},
    ("deprecated", 1): {"deprecated", "cleaned"},  # no marker: too new for the patched code
    ("deprecated", 2): {"deprecated", "cleaned"},
}


def history(version: str, completed: int) -> Run:
    run = Run(VERSIONS[version])
    for _ in range(completed):
        run.complete(next(iter(run.activities)))
    return run


@pytest.mark.parametrize("then", VERSIONS)
@pytest.mark.parametrize(("version", "completed"), ALLOWED)
def test_which_code_replays_which_history(version: str, completed: int, then: str) -> None:
    """W12: at every moment, through all steps of a change."""
    run = history(version, completed)
    if then in ALLOWED[version, completed]:
        run.replayed(VERSIONS[then])
    else:
        with pytest.raises(NonDeterminismError):
            run.replayed(VERSIONS[then])


@pytest.mark.parametrize(
    ("version", "completed", "middle"), [("original", 0, "new"), ("original", 1, "old"), ("patched", 1, "new")]
)
def test_an_execution_goes_on_with_the_answer_of_its_first_call(version: str, completed: int, middle: str) -> None:
    """W12: true if it is reached now, false if history passed without."""
    run = history(version, completed)
    run.execution = run.replayed(patched)
    run.to_end()
    assert middle in run.scheduled()


def test_the_answer_stays_the_same_within_an_execution(evicting: bool) -> None:
    """W12: also where the code comes by again, after new events."""

    def version(is_patched: bool) -> Any:
        @workflow(name="w")
        async def loops(ctx: Context) -> list[bool]:
            answers = []
            for _ in range(3):
                answers.append(is_patched and ctx.patched("p"))
                await act(ctx, "a")
            return answers

        return loops

    old, new = Run(version(False), evicting=evicting), Run(version(True), evicting=evicting)
    old.complete("a")
    old.app, old.definition = new.app, new.definition
    old.evict()
    for run in (old, new):
        run.to_end()
    assert old.result == [False, False, False]
    assert new.result == [True, True, True]
    assert new.kinds().count("PatchMarked") == 1
    assert old.kinds().count("PatchMarked") == 0


def test_two_patches_are_decided_apart(evicting: bool) -> None:
    """W12."""

    @workflow
    async def both(ctx: Context) -> list[bool]:
        first = ctx.patched("one")
        await act(ctx, "a")
        return [first, ctx.patched("two"), ctx.patched("one")]

    run = Run(both, evicting=evicting)
    run.complete("a")
    assert run.result == [True, True, True]
    assert run.kinds().count("PatchMarked") == 2


def test_a_marker_takes_no_number() -> None:
    """W12: removing the patch renumbers nothing."""
    with_marker, without = Run(patched), Run(cleaned)
    for run in (with_marker, without):
        run.complete("first")
    assert [each.number for each in with_marker.history if type(each).__name__ == "ActivityScheduled"] == [
        each.number for each in without.history if type(each).__name__ == "ActivityScheduled"
    ]


def test_a_marker_that_no_code_asks_for_is_a_divergence() -> None:
    """W12: until it is deprecated."""
    run = history("patched", 1)
    with pytest.raises(NonDeterminismError, match="patch 'p'"):
        run.replayed(cleaned)


def test_a_next_execution_decides_anew() -> None:
    """W12: until continue-as-new."""

    @workflow
    async def again(ctx: Context, count: int) -> bool:
        answer = ctx.patched("p")
        if count:
            ctx.continue_as_new(again, count - 1)
        return answer

    run = Run(again, 1)
    closing = run.checkpoints[-1].closing
    assert closing is not None
    assert closing.following is not None
    following = Run(again, 0, execution_id=closing.following.execution_id)
    assert following.result is True
    assert following.kinds().count("PatchMarked") == 1


def test_a_deprecated_patch_lets_its_marker_pass_wherever_the_old_code_had_it(evicting: bool) -> None:
    """W12: the marker may stand before or after what the code does beside it."""

    def version(is_old: bool) -> Any:
        @workflow(name="w")
        async def marked(ctx: Context) -> str:
            act(ctx, "x")
            if is_old:
                ctx.patched("p")
            else:
                ctx.deprecate_patch("p")
            return str(await act(ctx, "y"))

        return marked

    run = Run(version(True))
    run.execution = run.replayed(version(False))
    run.complete("y", "Y")
    assert run.result == "Y"
