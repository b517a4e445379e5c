"""Random workflows for test_properties.py: small programs, and the workflow that interprets one.

Whatever a program sees goes into its log, and the log into its commands' arguments: if two runs saw different things, their
histories differ.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from hypothesis import strategies as st

from perdure.workflows.channel import Channel
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.select import on_receive, on_result, otherwise, select
from perdure.workflows.signal import Signal
from tests.engine.harness import act

Program = tuple[Any, ...]
"""A node: its kind, then its parts; a body is a tuple of nodes."""

ping = Signal("ping", int)


class Impure:
    """What side effects draw from: it goes on with every call, so a replay that calls one again gives itself away."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._numbers = itertools.count()

    def draw(self) -> int:
        return next(self._numbers)


impure = Impure()

_activity = st.tuples(st.just("act"), st.sampled_from("abc"), st.sampled_from(["wait", "request", "abandon"]))
_leaves = st.one_of(
    _activity,
    _activity,
    _activity,
    st.tuples(st.just("sleep"), st.sampled_from([0, 1, 3])),
    st.tuples(st.just("timer"), st.sampled_from([1, 3])),
    st.tuples(st.just("receive")),
    st.tuples(st.just("until"), st.integers(1, 3)),
    st.tuples(st.just("side_effect")),
    st.tuples(st.just("facts")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("start"), st.sampled_from("xy")),
    st.tuples(st.just("cancel_started")),
    st.tuples(st.just("select")),
    st.tuples(st.just("patched")),
    st.tuples(st.just("channel")),
)


def _bodies(children: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    body = st.lists(children, min_size=1, max_size=3).map(tuple)
    several = st.lists(body, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.tuples(st.just("timeout"), st.sampled_from([1, 2]), body),
        st.tuples(st.just("group"), several),
        st.tuples(st.just("gather"), several, st.booleans()),
        st.tuples(st.just("wait"), several, st.sampled_from(["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])),
        st.tuples(st.just("as_completed"), several),
        st.tuples(st.just("spawn"), body),
        st.tuples(st.just("catch"), body),
        st.tuples(st.just("finally"), body, body),
        st.tuples(st.just("with_cancel"), body, body),
        st.tuples(st.just("disconnected"), body),
        st.tuples(st.just("shield"), body),
    )


programs: st.SearchStrategy[Program] = st.lists(
    st.recursive(_leaves, _bodies, max_leaves=12), min_size=2, max_size=6
).map(tuple)


def workflow_of(program: Program) -> Workflow[[], Any]:
    @workflow(name="program")
    async def interpret(ctx: Context) -> list[str]:
        interpreter = Interpreter()
        ctx.on_query(interpreter.seen)
        ctx.on_update(partial(interpreter.poke, ctx), validator=interpreter.check_poke, name="poke")
        await interpreter.body(ctx, program)
        return interpreter.log

    return interpret


class Interpreter:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.spawned: list[asyncio.Task[None]] = []
        self.started: list[Any] = []
        self.channel = Channel[int](2)

    async def body(self, ctx: Context, nodes: Program) -> None:
        for kind, *parts in nodes:
            step: Callable[..., Coroutine[Any, Any, object]] = getattr(self, f"do_{kind}")
            self.log.append(f"{kind} {await step(ctx, *parts)}")

    def task(self, ctx: Context, nodes: Program) -> asyncio.Task[None]:
        return asyncio.create_task(self.body(ctx, nodes))

    def seen(self) -> list[str]:
        return self.log

    def check_poke(self, value: int) -> None:
        if (len(self.log) + value) % 3 == 0:
            raise ValueError(value)

    async def poke(self, ctx: Context, value: int) -> object:
        self.log.append(f"poked {value} {await act(ctx, 'd', value)}")
        if value % 2:
            await asyncio.sleep(value)
        return self.log[-2:]

    async def do_act(self, ctx: Context, name: str, cancellation: str) -> object:
        return await act(ctx, name, self.log[-3:], cancellation=cancellation)

    async def do_sleep(self, ctx: Context, seconds: int) -> object:
        await asyncio.sleep(seconds)
        return "done"

    async def do_timer(self, ctx: Context, seconds: int) -> object:
        await ctx.schedule_timer(seconds)
        return "done"

    async def do_receive(self, ctx: Context) -> object:
        return await ctx.signal_channel(ping).receive()

    async def do_until(self, ctx: Context, count: int) -> object:
        await ctx.wait_until(lambda: len(self.log) >= count, timeout=4)
        return "done"

    async def do_side_effect(self, ctx: Context) -> object:
        return await ctx.side_effect(impure.draw)

    async def do_facts(self, ctx: Context) -> object:
        return [ctx.now().timestamp(), ctx.random.random(), ctx.cancelled, ctx.info.history_length]

    async def do_fail(self, ctx: Context) -> object:
        raise ValueError(len(self.log))

    async def do_start(self, ctx: Context, name: str) -> object:
        self.started.append(act(ctx, name))
        return len(self.started)

    async def do_cancel_started(self, ctx: Context) -> object:
        return [each.cancel() for each in [*self.started, *self.spawned]]

    async def do_select(self, ctx: Context) -> object:
        cases: list[Any] = [on_receive(ctx.signal_channel(ping)), on_receive(self.channel)]
        cases += [on_result(each) for each in self.started if not each.cancelled()]
        chosen = await select(*cases)
        return [chosen.index, str(chosen.value), str(await select(*cases, otherwise(lambda: "nothing")))]

    async def do_patched(self, ctx: Context) -> object:
        return ctx.patched("p")

    async def do_channel(self, ctx: Context) -> object:
        await self.channel.send(len(self.log))
        return "done"

    async def do_timeout(self, ctx: Context, seconds: int, body: Program) -> object:
        try:
            async with asyncio.timeout(seconds):
                await self.body(ctx, body)
                return "done"
        except TimeoutError:
            return "timed out"

    async def do_group(self, ctx: Context, bodies: tuple[Program, ...]) -> object:
        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(self.body(ctx, body))
            group.create_task(act(ctx, "d"))
        return None

    async def do_gather(self, ctx: Context, bodies: tuple[Program, ...], return_exceptions: bool) -> object:
        results = await asyncio.gather(*[self.body(ctx, body) for body in bodies], return_exceptions=return_exceptions)
        return [type(each).__name__ for each in results]

    async def do_wait(self, ctx: Context, bodies: tuple[Program, ...], return_when: str) -> object:
        tasks = [self.task(ctx, body) for body in bodies]
        done, _ = await asyncio.wait({*tasks, *self.started}, timeout=5, return_when=getattr(asyncio, return_when))
        return [tasks.index(each) for each in done if each in tasks]

    async def do_as_completed(self, ctx: Context, bodies: tuple[Program, ...]) -> object:
        seen = 0
        for nearest in asyncio.as_completed([self.task(ctx, body) for body in bodies]):
            await nearest
            seen += 1
        return seen

    async def do_spawn(self, ctx: Context, body: Program) -> object:
        self.spawned.append(self.task(ctx, body))
        return len(self.spawned)

    async def do_catch(self, ctx: Context, body: Program) -> object:
        try:
            await self.body(ctx, body)
        except (Exception, asyncio.CancelledError) as problem:
            return type(problem).__name__
        return "nothing to catch"

    async def do_finally(self, ctx: Context, body: Program, cleanup: Program) -> object:
        try:
            await self.body(ctx, body)
        finally:
            self.log.append("finally")
            await self.body(ctx.disconnected(), cleanup)
        return None

    async def do_with_cancel(self, ctx: Context, body: Program, then: Program) -> object:
        child, cancel = ctx.with_cancel()
        task = self.task(child, body)
        try:
            await self.body(ctx, then)
        finally:
            cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled" if task.cancelled() else "me"
        return "finished"

    async def do_disconnected(self, ctx: Context, body: Program) -> object:
        async with ctx.disconnected() as cleanup:
            await self.body(cleanup, body)
        return None

    async def do_shield(self, ctx: Context, body: Program) -> object:
        await asyncio.shield(self.task(ctx, body))
        return "done"
