"""W1: what a workflow is, and what it is called."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.errors import ConfigurationError, InvalidName, NotInWorkflow, RegistrationError
from perdure.model.options import IfExists, ParentClose
from perdure.workflows.alone import run_alone
from perdure.workflows.context import Context, workflow_context
from perdure.workflows.definition import Workflow, definition_problems, workflow, workflow_of
from perdure.workflows.scheduling import keep_schedule
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act


@workflow
async def top_level(ctx: Context) -> None: ...


class Holder:
    @staticmethod
    @workflow
    async def inside(ctx: Context) -> None: ...


def test_the_name_is_the_qualified_name() -> None:
    """W1."""
    assert top_level.name == "top_level"
    assert Holder.inside.name == "Holder.inside"


def test_the_name_of_a_local_function_is_what_follows_locals() -> None:
    """W1: where a test or a factory defines it doesn't matter."""

    @workflow
    async def local(ctx: Context) -> None: ...

    class Group:
        @staticmethod
        @workflow
        async def member(ctx: Context) -> None: ...

    assert (local.name, Group.member.name) == ("local", "Group.member")


def test_a_name_can_be_given() -> None:
    """W1."""

    @workflow(name="billing.charge")
    async def anything(ctx: Context) -> None: ...

    assert anything.name == "billing.charge"
    assert App(workflows=[anything]).workflows["billing.charge"] is anything


@pytest.mark.parametrize("name", ["", "x" * 256, "nul\0"])
def test_a_name_that_no_store_takes_is_refused(name: str) -> None:
    """W1."""
    with pytest.raises(InvalidName):

        @workflow(name=name)
        async def anything(ctx: Context) -> None: ...


def test_two_workflows_of_one_name_are_refused_with_both_places_and_a_way_out() -> None:
    """W1."""

    def make() -> Workflow[[], None]:
        @workflow
        async def same(ctx: Context) -> None: ...

        return same

    with pytest.raises(RegistrationError, match=r"(?s)'same'.*make.*another name.*@workflow\(name"):
        App(workflows=[make(), make()])


def test_one_workflow_twice_is_no_duplicate() -> None:
    """W1: the same function, with other options."""
    app = App(workflows=[top_level, top_level.with_options(queue="eu")])

    assert set(app.workflows) == {"top_level", keep_schedule.name, run_alone.name}


def not_async(ctx: Context) -> None: ...


async def no_context() -> None: ...


async def keyword_context(*, ctx: Context) -> None: ...


def neither() -> None: ...


@activity
async def an_activity() -> None: ...


@pytest.mark.parametrize(
    ("target", "problems"),
    [
        (top_level.function, []),
        (not_async, ["async def"]),
        (no_context, ["first parameter"]),
        (keyword_context, ["first parameter"]),
        (neither, ["async def", "first parameter"]),
        (Holder, ["isn't a function"]),
        (3, ["isn't a function"]),
        (an_activity, ["is an activity"]),
    ],
)
def test_every_reason_why_it_cant_be_a_workflow_is_told_at_once(target: Any, problems: list[str]) -> None:
    """W1: all problems in one error."""
    found = definition_problems(target)

    assert len(found) == len(problems)
    assert all(part in text for part, text in zip(problems, found, strict=True))
    if problems:
        with pytest.raises(RegistrationError) as caught:
            workflow(target)
        assert all(part in str(caught.value) for part in problems)


def test_an_undecorated_function_is_a_workflow_with_default_options() -> None:
    """W1: plain functions can be registered and called too."""

    async def plain(ctx: Context) -> int:
        return 1

    assert workflow_of(plain) is workflow_of(plain)
    assert Run(plain).result == 1


def test_a_wrapped_function_keeps_its_name_and_is_a_workflow() -> None:
    """W1: decorators that use functools.wraps."""

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return wrapper

    @workflow
    @logged
    async def decorated(ctx: Context, number: int) -> int:
        return number + 1

    assert decorated.name == "decorated"
    assert Run(decorated, 1).result == 2


def test_options_ride_on_a_copy() -> None:
    """W1: the call stays free for the workflow's own arguments."""
    changed = top_level.with_options(instance_id="one", timeout=timedelta(hours=1), parent_close="abandon")

    assert changed.options.instance_id == "one"
    assert changed.options.parent_close is ParentClose.ABANDON
    assert changed.with_options(if_exists="use").options.if_exists is IfExists.USE
    assert changed.with_options(queue="q").options.instance_id == "one"
    assert top_level.options.instance_id is None
    assert (changed.name, changed.function) == (top_level.name, top_level.function)


def test_start_signals_add_up() -> None:
    """C1: start with a signal."""
    first, second = Signal("first", int), Signal("second", str)
    started = top_level.with_options(start_signal=first(1)).with_options(start_signal=second("x"))

    assert [(each.signal.name, each.value) for each in started.start_signals] == [("first", 1), ("second", "x")]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": timedelta(0)},
        {"timeout": -1.0},
        {"instance_id": ""},
        {"queue": "x" * 300},
        {"parent_close": "explode"},
        {"if_exists": "perhaps"},
        {"tags": {"a": 1}},
        {"tags": {"": "a"}},
        {"idempotency_key": ""},
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_where_it_is_given(options: dict[str, Any]) -> None:
    """W1."""
    with pytest.raises(ValueError, match=r"."):
        top_level.with_options(**options)


def test_an_unknown_kind_of_determinism_is_refused() -> None:
    """E2: strict or lenient."""
    with pytest.raises(ConfigurationError, match="lenient"):
        workflow(determinism="loose")  # type: ignore[call-overload]


def test_calling_a_workflow_runs_it_in_line() -> None:
    """W1: a workflow is still a function."""

    @workflow
    async def part(ctx: Context, name: str) -> str:
        return str(await act(ctx, name))

    @workflow
    async def whole(ctx: Context) -> list[str]:
        return [await part(ctx, "a"), await part(ctx, name="b")]

    run = Run(whole)
    run.to_end()
    assert run.result == ["A", "B"]


def test_helpers_find_the_context(evicting: bool) -> None:
    """W1: workflow_context() in helpers, tasks and callbacks."""

    async def helper(name: str) -> str:
        return str(await act(workflow_context(), name))

    @workflow
    async def uses_helpers(ctx: Context) -> list[Any]:
        seen = []
        asyncio.get_running_loop().call_soon(lambda: seen.append(workflow_context() is ctx))
        results = [await helper("a"), await asyncio.create_task(helper("b"))]
        return [*results, *seen, workflow_context() is ctx]

    run = Run(uses_helpers, evicting=evicting)
    run.to_end()
    assert run.result == ["A", "B", True, True]


def test_outside_of_workflows_there_is_no_context() -> None:
    """W1: and running one leaves none behind."""
    Run(top_level)
    with pytest.raises(NotInWorkflow, match="workflow code alone"):
        workflow_context()


def test_type_problems_of_all_workflows_are_told_at_once() -> None:
    """W1: App lists every problem."""

    @workflow
    async def one(ctx: Context, value: int | Holder) -> None: ...

    @workflow
    async def two(ctx: Context) -> Callable[[], int]:
        return int

    with pytest.raises(RegistrationError) as caught:
        App(workflows=[one, two])
    assert "workflow one" in str(caught.value)
    assert "workflow two" in str(caught.value)
