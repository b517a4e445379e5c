"""Queries: what a workflow's handlers say of its state, in memory and from history, and what they may not do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from perdure.errors import ConfigurationError
from perdure.model.event import Terminated
from perdure.model.reply import AskAgain, NotHandled, Raised, Replied, Reply
from perdure.workflows.context import Context, workflow_context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

go = Signal("go", int)


class Progress:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def status(self) -> list[str]:
        return self.steps

    def step(self, place: int, *, shout: bool = False) -> str:
        return self.steps[place].upper() if shout else self.steps[place]


@workflow
async def delivery(ctx: Context) -> int:
    progress = Progress()
    ctx.on_query(progress.status)
    ctx.on_query(progress.step)
    for name in ("pack", "send"):
        await act(ctx, name)
        progress.steps.append(name)
    return len(progress.steps)


def result(reply: Reply) -> bytes:
    assert isinstance(reply, Replied), reply
    return reply.result


def failure(reply: Reply) -> str:
    assert isinstance(reply, Raised), reply
    return f"{reply.failure.type_name}: {reply.failure.message}"


@pytest.mark.parametrize("evicting", [False, True])
def test_a_query_sees_the_state_of_the_moment(evicting: bool) -> None:
    run = Run(delivery, evicting=evicting)
    assert result(run.query("status")) == b"[]"
    run.complete("pack")
    assert result(run.query("status")) == b'["pack"]'
    assert result(run.query("step", 0)) == b'"pack"'
    assert result(run.query("step", 0, True)) == b'"PACK"'


def test_a_query_leaves_no_trace() -> None:
    run, asked = Run(delivery), Run(delivery)
    for each in (run, asked):
        for activity in ("pack", "send"):
            asked.query("status")
            each.complete(activity)
    assert asked.history == run.history
    assert asked.checkpoints == run.checkpoints


def test_the_state_at_the_end_can_be_asked_for() -> None:
    run = Run(delivery)
    run.to_end()
    run.history.append(Terminated(at=run.now))  # what an operator writes is no obstacle
    execution = run.read()
    assert result(execution.query("status", b"[]")) == b'["pack","send"]'


def test_clean_up_of_a_closed_execution_isnt_part_of_the_state_at_the_end() -> None:
    async def tidy(ctx: Context) -> None:
        seen: list[str] = []

        async def helper() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                seen.append("closed")

        ctx.on_query(lambda: seen, name="seen")
        task = asyncio.create_task(helper())
        await act(ctx, "a")
        seen.append(str(task.done()))

    run = Run(tidy)
    run.complete("a")
    assert result(run.read().query("seen", b"[]")) == b'["False"]'


def test_an_execution_that_hasnt_begun_has_no_answer_yet() -> None:
    assert Run(delivery, begin=False).query("status") == AskAgain()


def test_an_unknown_query_is_told_the_known_ones() -> None:
    assert Run(delivery).query("statsu") == NotHandled(("status", "step"))


def test_what_the_handler_raises_is_the_answer() -> None:
    run = Run(delivery)
    assert failure(run.query("step", 3)) == "IndexError: list index out of range"
    assert failure(run.query("step", "three")).startswith("DecodeError")
    run.complete("pack")
    assert result(run.query("step", 0)) == b'"pack"'


def test_a_later_handler_of_the_same_name_takes_the_place() -> None:
    async def phases(ctx: Context) -> None:
        ctx.on_query(lambda: "first", name="phase")
        await act(ctx, "a")
        ctx.on_query(lambda: "second", name="phase")
        await act(ctx, "b")

    run = Run(phases)
    assert result(run.query("phase")) == b'"first"'
    run.complete("a")
    assert result(run.query("phase")) == b'"second"'


def test_what_cant_answer_at_once_is_no_handler() -> None:
    async def wrong(ctx: Context) -> list[str]:
        async def slow() -> None: ...

        found = []
        for handler, name in ((slow, None), (_Callable(), None)):
            try:
                ctx.on_query(handler, name=name)
            except ConfigurationError as problem:
                found.append(str(problem).partition(" ")[0])
        ctx.on_query(lambda: asyncio.sleep(1), name="hidden")
        await ctx.sleep(1)
        return found

    class _Callable:
        def __call__(self) -> None: ...

    run = Run(wrong)
    assert failure(run.query("hidden")).startswith("NotInWorkflow")
    run.to_end()
    assert len(run.result) == 2


FORBIDDEN: dict[str, Callable[[Context], object]] = {
    "an activity": lambda ctx: act(ctx, "a"),
    "a timer": lambda ctx: ctx.schedule_timer(1),
    "a sub-workflow": lambda ctx: ctx.execute_sub_workflow(delivery),
    "a signal": lambda ctx: ctx.signal_workflow("other", go, 1),
    "a side effect": lambda ctx: ctx.side_effect(int),
    "a published value": lambda ctx: ctx.publish("key", 1),
    "a patch": lambda ctx: ctx.patched("new"),
    "chance": lambda ctx: ctx.uuid4(),
    "a task": lambda ctx: asyncio.ensure_future(ctx.sleep(1)),
    "a delay": lambda ctx: asyncio.get_running_loop().call_later(1, print),
    "an activity of another context": lambda ctx: act(ctx.disconnected(), "a"),
    "an activity by a helper": lambda ctx: act(workflow_context(), "a"),
}


@pytest.mark.filterwarnings("ignore:coroutine.*never awaited")
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_query_takes_no_effect(what: str) -> None:
    """It may not issue commands."""

    async def curious(ctx: Context) -> list[Any]:
        ctx.on_query(lambda: FORBIDDEN[what](ctx), name="ask")
        await act(ctx, "a")
        return [ctx.random.random(), await act(ctx, "b")]

    asked, run = Run(curious), Run(curious)
    said = failure(asked.query("ask"))
    assert said.startswith("NotInWorkflow: the handler of query 'ask' may only look") or "no new tasks" in said
    for each in (asked, run):
        each.to_end()
    assert asked.history == run.history
    assert not asked.execution.is_tainted


def test_a_query_that_wakes_a_task_is_found_out() -> None:
    """What it has changed is in memory alone: the execution is read from history again."""

    async def meddled(ctx: Context) -> str:
        event = asyncio.Event()
        ctx.on_query(event.set)
        await event.wait()
        return "woken"

    run = Run(meddled)
    assert "woke a task" in failure(run.query("set"))
    assert run.execution.is_tainted
    run.evict()
    run.feed()
    assert run.end == "running"


def test_a_query_can_log_and_read_facts() -> None:
    async def talkative(ctx: Context) -> None:
        def facts() -> list[Any]:
            ctx.logger.warning("asked")
            return [ctx.info.workflow, ctx.cancelled, ctx.is_replaying, ctx.now().year]

        ctx.on_query(facts)
        await act(ctx, "a")

    assert b",false,false,2023]" in result(Run(talkative).query("facts"))
