"""E2: recorded inputs are compared as today's types read them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.activities.definition import Activity
from perdure.errors import NonDeterminismError
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run


def code(body: Callable[[Context], Coroutine[Any, Any, Any]]) -> Workflow[[], Any]:
    """The body as today's version of the workflow."""

    @workflow(name="changing")
    async def changing(ctx: Context) -> None:
        await body(ctx)

    return changing


@dataclass
class Old:
    id: str


@dataclass
class WithDefault:
    id: str
    colour: str = "red"


@dataclass
class WithoutDefault:
    id: str
    size: int


def taking(kind: Any, *values: Any) -> Workflow[[], Any]:
    """A workflow whose activity takes one of these classes."""

    async def paint(item: Any) -> None: ...

    paint.__annotations__["item"] = kind

    async def body(ctx: Context) -> None:
        await ctx.execute_activity(Activity(paint, name="paint"), *values)

    return code(body)


def test_a_new_field_with_a_default_sticks_nobody() -> None:
    """E2: the recorded input passes through today's types."""
    run = Run(taking(Old, Old("x")))
    run.replayed(taking(WithDefault, WithDefault("x")))
    for changed in (taking(WithDefault, WithDefault("x", "blue")), taking(WithoutDefault, WithoutDefault("x", 3))):
        with pytest.raises(NonDeterminismError):
            run.replayed(changed)


def test_a_new_parameter_with_a_default_sticks_nobody() -> None:
    """E2: as an argument that wasn't given."""

    async def before(item: str) -> None: ...

    async def after(item: str, count: int = 1) -> None: ...

    def version(function: Any) -> Workflow[[], Any]:
        async def body(ctx: Context) -> None:
            await ctx.execute_activity(Activity(function, name="paint"), "x")

        return code(body)

    Run(version(before)).replayed(version(after))


def test_a_new_field_with_a_default_in_a_signals_value_sticks_nobody() -> None:
    """E2: signals to others have typed values, too."""

    def version(kind: Any, value: Any) -> Workflow[[], Any]:
        async def body(ctx: Context) -> None:
            await ctx.signal_workflow("other", Signal("s", kind), value)

        return code(body)

    run = Run(version(Old, Old("x")))
    run.replayed(version(WithDefault, WithDefault("x")))
    with pytest.raises(NonDeterminismError):
        run.replayed(version(WithDefault, WithDefault("x", "blue")))


def test_a_set_is_the_same_in_any_order() -> None:
    """E2: set elements are sorted by their encoded bytes."""

    async def takes(items: set[str]) -> None: ...

    def version(*items: str) -> Workflow[[], Any]:
        async def body(ctx: Context) -> None:
            await ctx.execute_activity(Activity(takes, name="takes"), set(items))

        return code(body)

    words = [f"word {number}" for number in range(100)]
    Run(version(*words)).replayed(version(*reversed(words)))


def test_a_swapped_sub_workflow_is_a_mismatch() -> None:
    """E2: workflow, id and input."""

    @workflow
    async def one(ctx: Context, value: int) -> None: ...

    @workflow
    async def two(ctx: Context, value: int) -> None: ...

    def version(target: Any, value: int, **options: Any) -> Workflow[[], Any]:
        async def body(ctx: Context) -> None:
            await ctx.execute_sub_workflow(target.with_options(**options), value)

        return code(body)

    run = Run(version(one, 1))
    run.replayed(version(one, 1, queue="eu", parent_close="abandon"))
    for changed in (version(two, 1), version(one, 2), version(one, 1, instance_id="chosen")):
        with pytest.raises(NonDeterminismError, match="sub-workflow 1"):
            run.replayed(changed)
