"""Starts and signals in the worker's own process: the way that is short, and each reason to take the long one."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.engine.execution import Execution
from perdure.errors import InstanceAlreadyExists, StoreError, StoreUnavailable, WorkflowFailed
from perdure.model.event import ActivityScheduled, ExecutionStarted
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import (
    Appended,
    AppendEvent,
    Claimed,
    CompleteWorkflowTask,
    Created,
    CreateInstance,
    Existing,
)
from perdure.orchestrator import Orchestrator
from perdure.worker.hand_back import HandBack
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import Watched, as_backend, until, until_async

go_on = Signal("go on", int)
begun: list[int] = []
doubled: list[int] = []

pytestmark = pytest.mark.needs_cache


@activity
async def double(x: int) -> int:
    doubled.append(x)
    return 2 * x


@workflow
async def one_activity(ctx: Context, x: int) -> int:
    begun.append(x)
    return await ctx.execute_activity(double, x) + 1


@workflow
async def wait(ctx: Context) -> int:
    return await ctx.signal_channel(go_on).receive()


@workflow
async def at_once(ctx: Context, x: int) -> int:
    if x < 0:
        raise ValueError("negative")
    return x


@workflow
async def parent(ctx: Context, x: int) -> int:
    return await ctx.execute_sub_workflow(one_activity, x)


@workflow
async def countdown(ctx: Context, x: int) -> str:
    if x:
        ctx.continue_as_new(countdown, x - 1)
    return "zero"


@workflow
async def draws(ctx: Context) -> int:
    before = await ctx.side_effect(lambda: draw("before"))
    await ctx.sleep(0.001)
    return before + await ctx.side_effect(lambda: draw("after"))


def draw(what: str) -> int:
    drawn.append(what)
    return len(drawn)


drawn: list[str] = []
app = App(workflows=[one_activity, wait, at_once, parent, countdown, draws], activities=[double])


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    begun.clear()
    doubled.clear()
    drawn.clear()


def first_steps(watched: Watched) -> list[Created]:
    """Creations whose first step the store took."""
    return [each for each in watched.outcomes if isinstance(each, Created) and each.first is not None]


def claimed_count(watched: Watched) -> int:
    return sum(len(each.workflow_tasks) for each in watched.outcomes if isinstance(each, Claimed))


# --- the short way


async def test_b2_a_start_and_its_first_step_are_one_transition(watched: Watched) -> None:
    """B2, F1: two commits for a workflow of one activity, and no claim."""
    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await perdure.start(one_activity, 7)
        assert await handle.result() == 15
        events = [type(each.event).__name__ async for each in handle.history()]

    assert events == ["ExecutionStarted", "ActivityScheduled", "ActivityCompleted", "ExecutionCompleted"]
    assert len(first_steps(watched)) == 1
    assert claimed_count(watched) == 0
    [fused] = watched.of_kind(CompleteWorkflowTask)
    assert len(fused.fused) == 1
    assert begun == [7]


async def test_b2_a_signal_sent_here_brings_the_task_back_with_it(watched: Watched) -> None:
    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await perdure.start(wait)
        await handle.signal(go_on, 5)
        assert await handle.result() == 5

    [appended] = [each for each in watched.outcomes if isinstance(each, Appended)]
    assert appended.workflow_task is not None
    assert claimed_count(watched) == 0


async def test_first_steps_that_end_fail_and_begin_others(watched: Watched) -> None:
    async with Orchestrator(as_backend(watched), app) as perdure:
        assert await perdure.run(at_once, 3) == 3
        with pytest.raises(WorkflowFailed, match="negative"):
            await perdure.run(at_once, -1)
        assert await perdure.run(countdown, 3) == "zero"
        assert await perdure.run(parent, 4) == 9
        assert await perdure.run(one_activity.with_options(start_delay=timedelta(milliseconds=1)), 1) == 3
    assert len(first_steps(watched)) == 4


async def test_the_answer_of_a_start_says_what_is_in_the_store(store: MemoryBackend) -> None:
    """Whoever has the handle finds the instance, with its history, before anything else has happened."""
    async with Orchestrator(store, app) as perdure:
        handle = await perdure.start(wait)
        kinds = [type(each.event) async for each in handle.history()]
        assert kinds == [ExecutionStarted]
        assert await handle.state() is State.RUNNING


# --- the long way: not taken


async def test_without_room_it_is_created_and_claimed_later(watched: Watched) -> None:
    async with Orchestrator(as_backend(watched), app, max_workflow_tasks=1, max_activities=1) as perdure:
        handles = await asyncio.gather(*(perdure.start(one_activity, x) for x in range(20)))
        assert await asyncio.gather(*(handle.result() for handle in handles)) == [2 * x + 1 for x in range(20)]
    assert len(first_steps(watched)) < 20
    assert claimed_count(watched) > 0


async def test_an_id_that_is_taken_costs_nothing(watched: Watched) -> None:
    """The execution that ran ahead leaves memory, its slots are free again, and nothing of it happened."""
    async with Orchestrator(as_backend(watched), app, max_activities=1) as perdure:
        await perdure.run(one_activity.with_options(instance_id="one"), 1)
        for _ in range(3):
            with pytest.raises(InstanceAlreadyExists):
                await perdure.start(one_activity.with_options(instance_id="one"), 2)
        used = await perdure.start(one_activity.with_options(instance_id="one", if_exists=IfExists.USE), 1)
        assert await used.result() == 3
        assert await perdure.run(one_activity.with_options(instance_id="one", if_exists=IfExists.RESTART), 5) == 11
        lives = perdure.worker._lives
        assert lives is not None
        assert lives.serving is not None
        executions = lives.serving._executions
        await until(lambda: executions.busy_count == 0)  # a claim may be under way, which keeps places
    assert len([each for each in watched.outcomes if isinstance(each, Existing)]) == 4
    assert doubled == [1, 5]


async def test_w4_a_side_effect_waits_for_the_instance_to_be_there(watched: Watched) -> None:
    """A start that is refused must have had no effect; the step is taken when the instance has been claimed."""
    async with Orchestrator(as_backend(watched), app) as perdure:
        assert await perdure.run(draws.with_options(instance_id="one")) == 3
        assert drawn == ["before", "after"]
        with pytest.raises(InstanceAlreadyExists):
            await perdure.start(draws.with_options(instance_id="one"))
    assert drawn == ["before", "after"]
    assert first_steps(watched) == []
    assert claimed_count(watched) >= 1


async def test_code_that_the_engine_cannot_run_is_left_to_a_claim_which_marks_it_stuck(
    memory: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("not today")

    async with Orchestrator(memory, app) as perdure:
        with monkeypatch.context() as patch:
            patch.setattr(Execution, "apply", fail)
            handle = await perdure.start(one_activity, 1)
            await until_async(lambda: _stuck(perdure, handle.instance_id))
        await perdure.resume(handle.instance_id)
        assert await handle.result() == 3
    assert doubled == [1]


async def _stuck(client: Client, instance_id: str) -> bool:
    return (await client.info(instance_id)).stuck is not None


async def test_other_queues_and_versions_are_for_other_workers(watched: Watched) -> None:
    async with Orchestrator(as_backend(watched), app, queues=("eu",)) as perdure:
        handle = await perdure.start(at_once, 1)
        async with Worker(as_backend(watched), app):
            assert await handle.result() == 1
    assert first_steps(watched) == []


async def test_a_worker_that_has_stopped_leaves_the_start_to_others(watched: Watched) -> None:
    async with Orchestrator(as_backend(watched), app) as perdure:
        await perdure.worker.stop()
        handle = await perdure.start(at_once, 1)
        async with Worker(as_backend(watched), app):
            assert await handle.result() == 1
    assert first_steps(watched) == []


# --- the long way: it went wrong on the way


async def wait_for(event: asyncio.Event) -> None:
    await event.wait()


def next_start(transition: object, already: list[object]) -> bool:
    if isinstance(transition, CreateInstance) and not already:
        already.append(transition)
        return True
    return False


@pytest.mark.parametrize("is_carried_out", [False, True])
async def test_b4_a_start_whose_answer_is_lost_is_one_start(watched: Watched, *, is_carried_out: bool) -> None:
    """The worker can't know what was leased to it: it goes on under a new key, and the step is done again."""
    already: list[object] = []
    away = StoreUnavailable("away")
    fault = lambda transition: away if next_start(transition, already) else None  # noqa: E731
    if is_carried_out:
        watched.lose_answer = fault
    else:
        watched.fail = fault
    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await perdure.start(one_activity, 7)
        assert await handle.result() == 15
        kinds = [type(each.event) async for each in handle.history()]
        assert kinds.count(ActivityScheduled) == 1
        assert await perdure.count() == {State.COMPLETED: 1}
    assert doubled == [7]


async def test_a_start_that_the_store_cannot_hold_fails_and_frees_its_slot(watched: Watched) -> None:
    already: list[object] = []
    watched.fail = lambda transition: StoreError("too large") if next_start(transition, already) else None
    async with Orchestrator(as_backend(watched), app, max_activities=1) as perdure:
        with pytest.raises(StoreError, match="too large"):
            await perdure.start(one_activity, 7)
        assert await perdure.run(one_activity, 1) == 3
        assert await perdure.count() == {State.COMPLETED: 1}


async def test_who_stops_waiting_for_a_start_does_not_take_it_back(watched: Watched) -> None:
    held = asyncio.Event()
    watched.hold = lambda transition: wait_for(held) if isinstance(transition, CreateInstance) else None
    async with Orchestrator(as_backend(watched), app) as perdure:
        starting = asyncio.create_task(perdure.start(one_activity.with_options(instance_id="one"), 7))
        await until(lambda: watched.of_kind(CreateInstance))
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        held.set()
        await until(lambda: first_steps(watched))
        assert await perdure.handle("one", one_activity).result() == 15


async def test_k3_a_worker_that_stops_while_a_start_is_on_its_way_gives_it_back(watched: Watched) -> None:
    held = asyncio.Event()
    watched.hold = lambda transition: wait_for(held) if isinstance(transition, CreateInstance) else None
    async with Orchestrator(as_backend(watched), app) as perdure:
        starting = asyncio.create_task(perdure.start(wait.with_options(instance_id="one")))
        await until(lambda: watched.of_kind(CreateInstance))
        stopping = asyncio.create_task(perdure.worker.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        held.set()
        await asyncio.gather(starting, stopping)
        async with Worker(as_backend(watched), app):
            await perdure.signal("one", go_on, 3)
            assert await perdure.handle("one", wait).result() == 3


async def test_k2_a_worker_that_loses_its_leases_while_a_start_is_on_its_way_drops_the_step(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """The instance is there, leased to a worker that is no more: it is given back, and runs under another key."""
    held = asyncio.Event()
    already: list[object] = []

    watched.hold = lambda transition: wait_for(held) if next_start(transition, already) else None
    async with Orchestrator(as_backend(watched), app) as perdure:
        starting = asyncio.create_task(perdure.start(one_activity.with_options(instance_id="one"), 7))
        await until(lambda: already)
        assert perdure.worker._lives is not None
        assert perdure.worker._lives.serving is not None
        lost = perdure.worker._lives.serving
        with caplog.at_level(logging.CRITICAL):
            lost._lost("a test says so")
        await until(lambda: perdure.worker._lives is not None and perdure.worker._lives.serving not in (None, lost))
        held.set()
        handle = await starting
        assert await handle.result(timeout=20) == 15
    assert doubled == [7]


async def test_b4_a_signal_whose_answer_is_lost_arrives_once(watched: Watched) -> None:
    already: list[object] = []

    def lose(transition: object) -> StoreError | None:
        if isinstance(transition, AppendEvent) and not already:
            already.append(transition)
            return StoreUnavailable("away")
        return None

    watched.lose_answer = lose
    async with Orchestrator(as_backend(watched), app) as perdure:
        handle = await perdure.start(wait)
        await handle.signal(go_on, 3)
        assert await handle.result() == 3
        kinds = [type(each.event).__name__ async for each in handle.history()]
    assert kinds == ["ExecutionStarted", "SignalReceived", "ExecutionCompleted"]


async def test_a_fault_in_one_step_of_a_turn_harms_no_other(
    memory: MemoryBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All steps of a turn are sent by one callback: the others must neither hang nor get lost."""
    faults = {"offer": 1, "offer_with_start": 1}

    def breaking_once(name: str) -> None:
        right = getattr(HandBack, name)

        def broken(self: HandBack, *args: object, **kwargs: object) -> object:
            faults[name] -= 1
            if faults[name] == 0:
                raise RuntimeError("a bug")
            return right(self, *args, **kwargs)

        monkeypatch.setattr(HandBack, name, broken)

    for name in faults:
        breaking_once(name)
    async with Orchestrator(memory, app) as perdure:
        results = await asyncio.gather(*(perdure.run(one_activity, x) for x in range(10)))
    assert results == [2 * x + 1 for x in range(10)]
    assert all(left < 0 for left in faults.values())
    assert len([each for each in caplog.records if "please report" in each.message]) == 2
