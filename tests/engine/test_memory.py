"""E3, F3: what waits in memory is small, and what has left it is gone at once, without the garbage collector."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perdure.app import App
from perdure.engine.execution import Execution
from perdure.errors import NotInWorkflow
from perdure.model.event import ExecutionStarted
from perdure.model.task import PendingEvent, WorkflowTask
from perdure.workflows.context import Context, workflow_context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import EPOCH, Run, act, close_open

GO = Signal("go", int)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def activities(ctx: Context) -> None:
    first = act(ctx, "a", cancellation="request")
    assert list(await asyncio.gather(first, act(ctx, "b"))) == ["A", "B"]


async def timers(ctx: Context) -> None:
    await ctx.sleep(1)
    await asyncio.sleep(1)
    ctx.schedule_timer(9).cancel()
    with contextlib.suppress(TimeoutError):
        async with ctx.timeout(1):
            await asyncio.Event().wait()


async def open_commands(ctx: Context) -> None:
    """Whatever is still open at the end."""
    ctx.schedule_timer(9)
    ctx.execute_sub_workflow(noop)
    ctx.signal_workflow("other", GO, 1)
    act(ctx, "a", cancellation="request")
    asyncio.create_task(asyncio.sleep(9))
    await act(ctx, "b")


async def cancelled_sub_workflow(ctx: Context) -> None:
    ctx.execute_sub_workflow(noop).cancel()
    abandoned = ctx.execute_sub_workflow(noop)
    await act(ctx, "a")
    abandoned.cancel()


async def child_contexts(ctx: Context) -> None:
    child, cancel = ctx.with_cancel()
    grandchild, _ = child.with_cancel()
    sleeping = asyncio.create_task(grandchild.sleep(9))
    await act(ctx, "a")
    cancel()
    await asyncio.wait([sleeping])
    assert sleeping.cancelled()


async def facts(ctx: Context) -> None:
    ctx.logger.info("%s", ctx.random.random())
    ctx.publish("k", 1)
    ctx.patched("p")
    assert ctx.signal_channel(GO).can_receive() is False
    assert workflow_context() is ctx
    await act(ctx, "a")


class Asked:
    """A state that knows its context, as states do."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def look(self) -> int:
        return self.ctx.open_updates

    async def change(self) -> None:
        await act(self.ctx, "a")


async def handlers(ctx: Context) -> None:
    state = Asked(ctx)
    ctx.on_query(state.look)
    ctx.on_query(lambda: state.look() + 1, name="closure")
    ctx.on_update(state.change, validator=state.look)
    await act(ctx, "a")


async def noop(ctx: Context) -> None: ...


SAMPLES = [noop, activities, timers, open_commands, cancelled_sub_workflow, child_contexts, facts, handlers]


def refs_of(run: Run) -> list[weakref.ref[Any]]:
    core = run.execution._core
    return [weakref.ref(each) for each in (run.execution, core, core.loop, core.main) if each is not None]


def garbage() -> list[str]:
    """What the engine left to the garbage collector; the test's own App has cycles too, of which a process has one."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        kinds = [type(each) for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return [kind.__qualname__ for kind in kinds if kind.__module__.startswith(_OURS) or kind.__name__ == "coroutine"]


_OURS = (
    "perdure.engine",
    "perdure.workflows.future",
    "perdure.workflows.context",
    "asyncio",
    "_asyncio",
    "_contextvars",
)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda each: each.__name__)
def test_an_ended_execution_is_freed_at_once(sample: Callable[..., Any]) -> None:
    run = Run(sample, begin=False)
    refs = refs_of(run)
    run.feed(run.started)
    run.to_end()
    assert run.end == "COMPLETED"
    close_open()
    del run
    assert [ref() for ref in refs] == [None] * len(refs)
    assert garbage() == []


@pytest.mark.parametrize("sample", SAMPLES[1:], ids=lambda each: each.__name__)
def test_an_evicted_execution_is_freed_at_once(sample: Callable[..., Any]) -> None:
    if sample is activities and sys.version_info >= (3, 14):
        pytest.skip("from 3.14 on the futures that a gather waits for know it, and nothing public takes that back")
    run = Run(sample)
    refs = refs_of(run)
    run.execution.close()
    close_open()
    del run
    assert [ref() for ref in refs] == [None] * len(refs)
    assert garbage() == []


def test_what_was_asked_and_updated_is_freed_at_once() -> None:
    run = Run(handlers)
    refs = refs_of(run)
    run.query("look")
    run.query("nobody")
    run.query("closure", "too much")
    run.update("change")
    run.execution.close()
    close_open()
    del run
    assert [ref() for ref in refs] == [None] * len(refs)
    assert garbage() == []


def test_an_execution_that_waits_takes_less_than_8_kb() -> None:
    @workflow
    async def waits(ctx: Context, text: str) -> None:
        await ctx.signal_channel(GO).receive()

    app = App(workflows=[waits])
    arguments = app.payloads.call(waits.function, skip=1).encode(("x" * 10_000,), {}).payload

    def waiting(number: int) -> Execution:
        """Made from a task as a store hands it out, with arguments that nothing needs any more once they are decoded."""
        started = ExecutionStarted(at=EPOCH, workflow="waits", arguments=bytes(bytearray(arguments)), python="")
        task = WorkflowTask(
            instance_key=number, instance_id=f"instance-{number}", execution_id=number.to_bytes(16, "big"),
            workflow=waits.name, queue="default", priority=0, version=None, parent=None, token=1, position=0,
            history_bytes=0, now=EPOCH, pending=(PendingEvent(0, started),), created_at=EPOCH,
        )  # fmt: skip
        execution = Execution(task, waits, app)
        execution.apply(task.pending, EPOCH)
        return execution

    waiting(0).close()
    count = 200
    tracemalloc.start()
    try:
        executions = [waiting(number) for number in range(count)]
        gc.collect()
        size = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    for execution in executions:
        execution.close()
    assert size - 10_000 < 8_000  # the text itself is the workflow's own variable


def test_a_context_that_outlives_its_execution_says_so() -> None:
    kept: list[Context] = []

    @workflow
    async def keeps(ctx: Context) -> None:
        kept.append(ctx)

    Run(keeps)
    for use in (
        kept[0].now,
        lambda: act(kept[0], "a"),
        lambda: kept[0].schedule_timer(1),
        lambda: kept[0].info,
    ):
        with pytest.raises(NotInWorkflow, match="has ended"):
            use()


def test_a_loop_that_outlives_its_execution_takes_no_timers() -> None:
    kept: list[asyncio.AbstractEventLoop] = []

    @workflow
    async def keeps(ctx: Context) -> None:
        kept.append(asyncio.get_running_loop())

    Run(keeps)
    with pytest.raises(NotInWorkflow, match="left memory"):
        kept[0].call_later(1, print)
    assert kept[0].time() == 0
    kept[0].call_exception_handler({"message": "nobody hears it"})


def test_a_logger_that_outlives_its_execution_is_silent() -> None:
    kept: list[Any] = []

    @workflow
    async def keeps(ctx: Context) -> None:
        kept.append(ctx.logger)

    Run(keeps)
    assert not kept[0].isEnabledFor(50)
