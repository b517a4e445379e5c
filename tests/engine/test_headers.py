"""Headers in workflow code: context variables that propagators fill, and what is started with their values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import msgspec
import pytest

from perdure.app import App
from perdure.errors import DecodeError, PayloadTooLarge
from perdure.model.checkpoint import NewActivity
from perdure.model.retry import RetryPolicy
from perdure.propagation import ContextVarPropagator
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from tests.engine.harness import Run, act

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
depth: ContextVar[int] = ContextVar("depth")


def started(flow: Workflow[..., Any], headers: dict[str, str], *, evicting: bool = False, extra: Any = ()) -> Run:
    app = App(workflows=[flow, *extra], propagators=[ContextVarPropagator(tenant), ContextVarPropagator(depth, int)])
    run = Run(flow, evicting=evicting, app=app, begin=False)
    run.feed(msgspec.structs.replace(run.started, headers=headers))
    return run


def new(run: Run, name: str) -> NewActivity:
    return run.activities[run.number(name)]


@workflow
async def work(ctx: Context) -> list[Any]:
    first = await act(ctx, "first")
    return [first, tenant.get(), depth.get(0)]


def test_a_workflow_and_its_activities_have_what_the_start_had(evicting: bool) -> None:
    run = started(work, {"tenant": "acme", "depth": "3"}, evicting=evicting)
    assert new(run, "first").headers == {"tenant": "acme", "depth": "3"}
    run.complete("first", "F")

    assert run.result == ["F", "acme", 3]
    run.assert_replays()


def test_workflow_code_sees_nothing_of_the_worker(evicting: bool) -> None:
    """W2: every execution starts in an empty context, filled by propagators alone."""
    tenant.set("of the worker")
    try:
        run = started(work, {}, evicting=evicting)
        assert new(run, "first").headers == {}
        run.complete("first", "F")
    finally:
        tenant.set(None)

    assert run.result == ["F", None, 0]


def test_each_task_of_a_workflow_has_values_of_its_own(evicting: bool) -> None:
    @workflow
    async def for_each(ctx: Context) -> None:
        async def one(name: str | None) -> None:
            tenant.set(name)
            await asyncio.sleep(1)
            await act(ctx, f"for {name}")

        await asyncio.gather(*(one(name) for name in ("a", "b", None)))
        await act(ctx, "for all")

    run = started(for_each, {"tenant": "all", "depth": "1"}, evicting=evicting)
    run.wait(1)
    seen = {each.name: each.headers for each in run.activities.values()}
    run.to_end([None] * 3)

    assert seen["for a"] == {"tenant": "a", "depth": "1"}
    assert seen["for b"] == {"tenant": "b", "depth": "1"}
    assert seen["for None"] == {"depth": "1"}
    run.assert_replays()


def test_headers_that_no_propagator_here_knows_go_on(evicting: bool) -> None:
    """A client or an activity of another version may know them."""
    run = started(work, {"region": "eu", "tenant": "acme"}, evicting=evicting)

    assert new(run, "first").headers == {"region": "eu", "tenant": "acme"}


def test_sub_workflows_have_them_and_so_have_their_retries(evicting: bool) -> None:
    @workflow
    async def child(ctx: Context) -> None: ...

    @workflow
    async def parent(ctx: Context) -> None:
        depth.set(depth.get() + 1)
        trying = ctx.execute_sub_workflow(child.with_options(retry=RetryPolicy(max_attempts=2)))
        depth.set(100)
        await trying

    run = started(parent, {"depth": "1"}, evicting=evicting, extra=[child])
    [number] = run.children
    run.fail_child(number)
    run.fire()

    assert [each.started.headers for each in run.children.values()] == [{"depth": "2"}] * 2


def test_continue_as_new_takes_todays_values_along(evicting: bool) -> None:
    @workflow
    async def again(ctx: Context) -> None:
        tenant.set("other")
        await ctx.sleep(1)
        ctx.continue_as_new(again)

    run = started(again, {"tenant": "acme", "region": "eu"}, evicting=evicting)
    run.wait(1)

    closing = run.checkpoints[-1].closing
    assert closing is not None
    assert closing.following is not None
    assert closing.following.started.headers == {"tenant": "other", "region": "eu"}


def test_compensations_have_the_values_of_the_end_of_the_block(evicting: bool) -> None:
    @workflow
    async def undoes(ctx: Context) -> None:
        async with ctx.compensations() as undo:
            undo.add_callback(lambda: act(ctx, "undo"))
            tenant.set("other")
            raise ValueError

    run = started(undoes, {"tenant": "acme"}, evicting=evicting)

    assert new(run, "undo").headers == {"tenant": "other"}


def test_headers_are_no_part_of_what_replay_compares() -> None:
    """A propagator may come or go while instances run."""
    run = started(work, {"tenant": "acme"})
    run.app = App(workflows=[work])
    run.replayed().close()

    without = Run(work)
    without.app = App(workflows=[work], propagators=[ContextVarPropagator(tenant)])
    without.replayed().close()


def test_too_much_to_carry_is_refused_where_it_is_started(evicting: bool) -> None:
    @workflow
    async def heavy(ctx: Context) -> str:
        tenant.set("x" * 10_000)
        try:
            await act(ctx, "a")
        except PayloadTooLarge as problem:
            return str(problem)
        return ""

    run = started(heavy, {}, evicting=evicting)

    assert run.result.startswith("the headers have 10,006 bytes, 8,192 are allowed; 'tenant' is the largest")


def test_a_header_that_cant_be_read_is_no_fault_of_the_workflow() -> None:
    """E4: nothing is recorded; the worker marks the instance stuck."""
    with pytest.raises(DecodeError, match="header 'depth'"):
        started(work, {"depth": "deep"})


def test_an_own_propagator_sees_all_headers() -> None:
    seen: list[Mapping[str, str]] = []

    class Own:
        fields = ("trace",)

        def inject(self) -> Mapping[str, str]:
            return {"trace": f"below {tenant.get()}"}

        def extract(self, headers: Mapping[str, str]) -> None:
            seen.append(headers)
            tenant.set(headers["trace"])

    run = Run(work, app=App(workflows=[work], propagators=[Own()]), begin=False)
    run.feed(msgspec.structs.replace(run.started, headers={"trace": "t", "region": "eu"}))

    assert seen == [{"trace": "t", "region": "eu"}]
    assert new(run, "first").headers == {"trace": "below t", "region": "eu"}
