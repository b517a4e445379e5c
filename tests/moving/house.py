"""What is moved: an instance of each kind that can be waiting, and how to tell that each went on where it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.errors import WorkflowFailed
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import until, until_async

word = Signal("word", str)


class Steps:
    """Activities that count their attempts; the slow one ends when the door is open."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.door = asyncio.Event()

    @activity
    async def quick(self, name: str) -> str:
        self.attempts[name] += 1
        return name.upper()

    @activity
    async def slow(self, name: str) -> str:
        self.attempts[name] += 1
        await self.door.wait()
        return name.upper()


@workflow
async def two_words(ctx: Context) -> str:
    """One comes before the move, one after it."""
    channel = ctx.signal_channel(word)
    first = await ctx.execute_activity(Steps.quick, await channel.receive())
    ctx.publish("first", first)
    return f"{first} {await channel.receive()}"


@workflow
async def sleeping(ctx: Context, seconds: float) -> str:
    before = await ctx.execute_activity(Steps.quick, "tired")
    await asyncio.sleep(seconds)
    return f"{before} no more"


@workflow
async def working(ctx: Context) -> str:
    return await ctx.execute_activity(Steps.slow, "work")


@workflow
async def parent(ctx: Context) -> str:
    child = two_words.with_options(instance_id="child")
    return f"child: {await ctx.execute_sub_workflow(child)}"


@workflow
async def in_turns(ctx: Context, turn: int) -> str:
    if turn == 3:
        return await ctx.signal_channel(word).receive()
    await ctx.execute_activity(Steps.quick, f"turn {turn}")
    return ctx.continue_as_new(in_turns, turn + 1)


@workflow
async def failing(ctx: Context) -> None:
    raise ValueError("no")


def app_with(steps: Steps) -> App:
    return App(workflows=[two_words, sleeping, working, parent, in_turns, failing], activities=[steps])


RESULTS = {
    "words": "ONE two",
    "sleeping": "TIRED no more",
    "working": "WORK",
    "parent": "child: ONE two",
    "child": "ONE two",
    "turns": "two",
    "ended": "TIRED no more",
}


async def move_in(orchestrator: Orchestrator, steps: Steps) -> None:
    """Start everything, and wait until each waits for what comes after the move."""
    await orchestrator.run(sleeping.with_options(instance_id="ended"), 0)
    failed = await orchestrator.start(failing.with_options(instance_id="failed"))
    assert await failed.wait() == "failed"
    await orchestrator.start(two_words.with_options(instance_id="words"))
    await orchestrator.start(parent.with_options(instance_id="parent"))
    await orchestrator.start(sleeping.with_options(instance_id="sleeping"), 0.5)
    await orchestrator.start(working.with_options(instance_id="working"))
    await orchestrator.start(in_turns.with_options(instance_id="turns"), 1)
    await until_async(lambda: _is_there(orchestrator, "child"))
    for name in ("words", "child"):
        await orchestrator.handle(name).signal(word, "one")
    await until(lambda: steps.attempts == Counter({"one": 2, "tired": 2, "work": 1, "turn 1": 1, "turn 2": 1}))
    await until_async(lambda: _has_published(orchestrator, "words"))
    await until_async(lambda: _has_published(orchestrator, "child"))


async def _is_there(client: Client, name: str) -> bool:
    return any([each.instance_id == name async for each in client.list(id_prefix=name)])


async def _has_published(client: Client, name: str) -> bool:
    return await client.handle(name).read("first", str, None) == "ONE"


async def send_rest(client: Client) -> None:
    for name in ("words", "child", "turns"):
        await client.handle(name).signal(word, "two")


async def check_went_on(backend: Backend, steps: Steps) -> None:
    """Everything ends with the right result, and no activity that had ended ran again."""
    steps.door.set()
    async with Orchestrator(backend, app_with(steps)) as orchestrator:
        for name, expected in RESULTS.items():
            result: Any = await orchestrator.handle(name).result(timeout=20)
            assert result == expected, name
        assert await orchestrator.handle("words").read("first", str) == "ONE"
        with pytest.raises(WorkflowFailed) as failed:
            await orchestrator.handle("failed").result()
        assert isinstance(failed.value.__cause__, ValueError)
    assert steps.attempts == Counter({"one": 2, "tired": 2, "work": 2, "turn 1": 1, "turn 2": 1})
    assert [each.number for each in await backend.read_executions("turns")] == [1, 2, 3]
    assert await backend.count_instances() == {State.COMPLETED: len(RESULTS), State.FAILED: 1}
