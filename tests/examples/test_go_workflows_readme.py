"""Each sample of go-workflows' README, ported: the same program has the same outcome.

The order is that of the README. What it says of logging, the analyser, the tester and the diagnostic pages belongs to other
parts of perdure.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from perdure import (
    App,
    Channel,
    Client,
    Context,
    Handle,
    Orchestrator,
    Signal,
    State,
    Worker,
    WorkflowCancelled,
    activity,
    on_receive,
    on_result,
    otherwise,
    select,
    workflow,
)
from perdure.model.event import CancelRequested

LONG = timedelta(hours=1)


@pytest.fixture
def store(store_url: str) -> str:
    return store_url


@activity
async def activity_1(a: int, b: int) -> int:
    return a + b


@activity
async def activity_2() -> int:
    return 12


# "Workflows are written in Go code."


@workflow
async def workflow_1(ctx: Context, message: str) -> list[int]:
    r1 = await ctx.execute_activity(activity_1, 35, 12)
    ctx.logger.info("A1 result: %s", r1)
    r2 = await ctx.execute_activity(activity_2)
    ctx.logger.info("A2 result: %s", r2)
    return [r1, r2]


async def test_activity_1_of_35_and_12_is_47_and_activity_2_is_12(store: str) -> None:
    app = App(workflows=[workflow_1], activities=[activity_1, activity_2])

    async with Orchestrator(store, app) as perdure:
        assert await perdure.run(workflow_1, "input-for-workflow") == [47, 12]


# "We can start workflows from the same process the worker runs in -- or they can be separate."


async def test_worker_and_client_are_separate_and_the_client_waits_for_the_result(shared_store_url: str) -> None:
    app = App(workflows=[workflow_1], activities=[activity_1, activity_2])
    instance_id = str(uuid.uuid4())

    async with Worker(shared_store_url, app), Client(shared_store_url) as client:
        handle = await client.start(workflow_1.with_options(instance_id=instance_id), "input-for-workflow")
        assert handle.instance_id == instance_id
        assert await handle.result(timeout=timedelta(seconds=30)) == [47, 12]


# "The Sqlite backend implementation supports two different modes, in-memory and on-disk."


async def test_sqlite_in_memory() -> None:
    app = App(workflows=[workflow_1], activities=[activity_1, activity_2])

    async with Orchestrator("sqlite:///:memory:", app) as perdure:
        assert await perdure.run(workflow_1, "") == [47, 12]


# "Activities can be registered as plain funcs or as methods on a struct."


class Act:
    def __init__(self, shared_state: int) -> None:
        self.shared_state = shared_state

    @activity
    async def activity_1(self, a: int, b: int) -> int:
        return a + b + self.shared_state

    @activity
    async def activity_2(self, a: int) -> int:
        return a * self.shared_state


@workflow
async def with_struct_activities(ctx: Context) -> list[int]:
    return [await ctx.execute_activity(Act.activity_1, 35, 12), await ctx.execute_activity(Act.activity_2, 35)]


async def test_activities_of_an_object_share_its_state_35_plus_12_plus_12_is_59(store: str) -> None:
    app = App(workflows=[with_struct_activities], activities=[Act(shared_state=12)])

    async with Orchestrator(store, app) as perdure:
        assert await perdure.run(with_struct_activities) == [59, 420]


# "When a workflow is canceled, its workflow context is canceled. Any subsequent calls to schedule activities or sub-workflows
# will immediately return an error, skipping their execution. Any activities already running when a workflow is canceled will
# still run to completion and their result will be available."


class Cancelling:
    """The activities of the sample, and what became of them."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.executed: list[str] = []

    @activity
    async def activity_cancel(self, a: int, b: int) -> int:
        self.started.set()
        await self.may_end.wait()
        self.executed.append("cancel")
        return a + b

    @activity
    async def activity_skip(self, a: int, b: int) -> int:
        self.executed.append("skip")
        return a + b

    @activity
    async def activity_cleanup(self, r1: int) -> None:
        self.executed.append(f"cleanup {r1}")


@workflow
async def workflow_2(ctx: Context, message: str) -> str:
    r1 = 0
    try:
        r1 = await ctx.execute_activity(Cancelling.activity_cancel, 1, 2)  # <- cancelled while this activity is running
        # r1 is the result of activity_cancel; activity_skip is skipped immediately
        await ctx.execute_activity(Cancelling.activity_skip, 1, 2)
    finally:
        if ctx.cancelled:
            async with ctx.disconnected() as cleanup:
                await cleanup.execute_activity(Cancelling.activity_cleanup, r1)
    return "some result"


async def test_a_cancelled_workflow_keeps_the_running_result_skips_the_next_activity_and_cleans_up(store: str) -> None:
    activities = Cancelling()

    async with Orchestrator(store, App(workflows=[workflow_2], activities=[activities])) as perdure:
        handle = await perdure.start(workflow_2, "Hello world")
        await activities.started.wait()
        await handle.cancel()
        await cancel_seen(handle)
        activities.may_end.set()
        with pytest.raises(WorkflowCancelled):
            await handle.result()
        assert await handle.state() is State.CANCELLED

    assert activities.executed == ["cancel", "cleanup 3"]


async def test_without_a_cancel_nothing_is_skipped(store: str) -> None:
    activities = Cancelling()
    activities.may_end.set()

    async with Orchestrator(store, App(workflows=[workflow_2], activities=[activities])) as perdure:
        assert await perdure.run(workflow_2, "Hello world") == "some result"

    assert activities.executed == ["cancel", "skip"]


# "Sub-workflows will be canceled if their parent workflow is canceled."


@workflow
async def parent_of_sleeper(ctx: Context, child_id: str) -> None:
    await ctx.execute_sub_workflow(sleeper.with_options(instance_id=child_id))


@workflow
async def sleeper(ctx: Context) -> None:
    ctx.publish("asleep", value=True)
    await ctx.sleep(LONG)


async def test_a_sub_workflow_is_cancelled_with_its_parent(store: str) -> None:
    async with Orchestrator(store, App(workflows=[parent_of_sleeper, sleeper])) as perdure:
        handle = await perdure.start(parent_of_sleeper, "child")
        await started(perdure, "child")
        await handle.cancel()

        assert await handle.wait() is State.CANCELLED
        assert await perdure.wait("child") is State.CANCELLED


# "You can schedule timers to fire at any point in the future", "You can cancel a timer by creating a cancelable context".


@workflow
async def with_timer(ctx: Context) -> float:
    before = ctx.now()
    timer = ctx.schedule_timer(timedelta(milliseconds=20))
    await timer
    return (ctx.now() - before).total_seconds()


@workflow
async def with_cancelled_timer(ctx: Context) -> str:
    timer_ctx, cancel = ctx.with_cancel()
    timer = timer_ctx.schedule_timer(LONG)
    cancel()
    try:
        await timer
    except asyncio.CancelledError:
        return "the timer was cancelled"
    return "the timer fired"


async def test_a_timer_fires(store: str) -> None:
    async with Orchestrator(store, App(workflows=[with_timer])) as perdure:
        assert 0.02 <= await perdure.run(with_timer) < 10


async def test_a_timer_is_cancelled_by_its_context_and_the_workflow_goes_on(store: str) -> None:
    async with Orchestrator(store, App(workflows=[with_cancelled_timer])) as perdure:
        assert await perdure.run(with_cancelled_timer) == "the timer was cancelled"


# "Signals are a way to send a message to a workflow."

signal_name = Signal("signal-name", str)


@workflow
async def with_signal(ctx: Context) -> str:
    # Pause workflow until signal is received
    received = await ctx.signal_channel(signal_name).receive()
    # Continue execution
    return f"Received signal: {received}"


@workflow
async def with_selected_signal(ctx: Context) -> str:
    result: str = await select(on_receive(ctx.signal_channel(signal_name), lambda value: f"Received signal: {value}"))
    return result


@pytest.mark.parametrize("definition", [with_signal, with_selected_signal])
async def test_a_workflow_waits_for_a_signal(store: str, definition: Any) -> None:
    async with Orchestrator(store, App(workflows=[definition])) as perdure:
        handle = await perdure.start(definition.with_options(instance_id="waiting"))
        await perdure.signal("waiting", signal_name, "value")

        assert await handle.result() == "Received signal: value"


# "a func which will be executed only once inline with its result being recorded in the history"


@workflow
async def with_side_effect(ctx: Context) -> list[str]:
    drawn = await ctx.side_effect(lambda: str(uuid.uuid4()))
    await ctx.sleep(timedelta(milliseconds=1))
    return [drawn, await ctx.execute_activity(echo, drawn)]


@activity
async def echo(text: str) -> str:
    return text


async def test_a_side_effect_is_recorded_and_replay_gets_the_same_result(store: str) -> None:
    app = App(workflows=[with_side_effect], activities=[echo])

    async with Orchestrator(store, app, cache_size=0) as perdure:  # every step replays from history
        drawn, echoed = await perdure.run(with_side_effect)

    assert drawn == echoed
    assert uuid.UUID(drawn).version == 4


# "Call workflow.CreateSubWorkflowInstance to start a sub-workflow."


@workflow
async def with_sub_workflow(ctx: Context, message: str) -> int:
    result = await ctx.execute_sub_workflow(sub_workflow, "some input")
    ctx.logger.debug("Sub workflow result: %s", result)
    return result


@workflow
async def sub_workflow(ctx: Context, message: str) -> int:
    return await ctx.execute_activity(activity_1, 35, 12)


async def test_a_sub_workflow_gives_its_result_to_its_parent(store: str) -> None:
    async with Orchestrator(
        store, App(workflows=[with_sub_workflow, sub_workflow], activities=[activity_1])
    ) as perdure:
        assert await perdure.run(with_sub_workflow, "Hello world") == 47


# "Similar to timer cancellation, you can pass a cancelable context to CreateSubWorkflowInstance"


@workflow
async def cancels_its_child(ctx: Context) -> str:
    child_ctx, cancel = ctx.with_cancel()
    child = child_ctx.execute_sub_workflow(sleeper.with_options(instance_id="child"))
    await ctx.signal_channel(signal_name).receive()
    cancel()
    try:
        await child
    except asyncio.CancelledError:
        return "the child was cancelled"
    return "the child completed"


async def test_a_sub_workflow_is_cancelled_by_its_context(store: str) -> None:
    async with Orchestrator(store, App(workflows=[cancels_its_child, sleeper])) as perdure:
        handle = await perdure.start(cancels_its_child)
        await started(perdure, "child")
        await handle.signal(signal_name, "now")

        assert await handle.result() == "the child was cancelled"
        assert await perdure.wait("child") is State.CANCELLED


# "It blocks until one of the provided cases is ready. Cases are evaluated in the order passed to Select."


@workflow
async def selecting(ctx: Context, scenario: str) -> str:
    future = ctx.execute_activity(activity_1, 35, 12)
    channel: Channel[int] = Channel(1)
    if scenario in ("receive", "both"):
        await channel.send(7)
    if scenario in ("await", "both"):
        await future
    result: str = await select(
        on_result(future, lambda value: f"await {value}"),
        on_receive(channel, lambda value: f"receive {value}"),
        otherwise(lambda: "default"),
    )
    return result


@pytest.mark.parametrize(
    ("scenario", "outcome"),
    [("await", "await 47"), ("receive", "receive 7"), ("both", "await 47"), ("neither", "default")],
)
async def test_select_takes_the_first_case_that_is_ready_in_the_order_given(
    store: str, scenario: str, outcome: str
) -> None:
    async with Orchestrator(store, App(workflows=[selecting], activities=[activity_1])) as perdure:
        assert await perdure.run(selecting, scenario) == outcome


@workflow
async def waiting_for_two(ctx: Context) -> str:
    f1 = ctx.schedule_timer(LONG)
    f2 = ctx.execute_activity(activity_1, 35, 12)
    result: str = await select(on_result(f1, lambda _: "f1"), on_result(f2, lambda value: f"f2 {value}"))
    return result


async def test_select_waits_for_whichever_future_comes_first(store: str) -> None:
    async with Orchestrator(store, App(workflows=[waiting_for_two], activities=[activity_1])) as perdure:
        assert await perdure.run(waiting_for_two) == "f2 47"


# "ContinueAsNew ... is not yet implemented": in perdure it is.


@workflow
async def counting_down(ctx: Context, number: int) -> str:
    if number > 0:
        ctx.continue_as_new(counting_down, number - 1)
    return f"execution {ctx.info.execution_number}"


async def test_continue_as_new_starts_the_next_execution_with_a_fresh_history(store: str) -> None:
    async with Orchestrator(store, App(workflows=[counting_down])) as perdure:
        handle = await perdure.start(counting_down, 3)

        assert await handle.result() == "execution 4"
        assert [each.number for each in await perdure.executions(handle.instance_id)] == [1, 2, 3, 4]


# "when you change a workflow": the sample that can't be replayed there, with `patched` in place of a version.


class Steps:
    def __init__(self) -> None:
        self.executed: list[str] = []

    @activity
    async def step(self, name: str) -> str:
        self.executed.append(name)
        return name


@workflow(name="changing")
async def before_the_change(ctx: Context) -> None:
    await ctx.execute_activity(Steps.step, "1")
    await ctx.signal_channel(signal_name).receive()
    await ctx.execute_activity(Steps.step, "2")


@workflow(name="changing")
async def after_the_change(ctx: Context) -> None:
    await ctx.execute_activity(Steps.step, "1")
    if ctx.patched("with-step-3"):
        await ctx.execute_activity(Steps.step, "3")
    await ctx.signal_channel(signal_name).receive()
    await ctx.execute_activity(Steps.step, "2")


async def test_running_workflows_finish_as_they_began_and_new_ones_take_the_new_step(shared_store_url: str) -> None:
    steps = Steps()
    async with Orchestrator(shared_store_url, App(workflows=[before_the_change], activities=[steps])) as perdure:
        old = await perdure.start(before_the_change.with_options(instance_id="old"))
        while steps.executed != ["1"] or await perdure.activities(old.instance_id):
            await asyncio.sleep(0.01)

    async with Orchestrator(shared_store_url, App(workflows=[after_the_change], activities=[steps])) as perdure:
        await perdure.signal("old", signal_name, "go on")
        await perdure.result("old")
        assert steps.executed == ["1", "2"]

        new = after_the_change.with_options(start_signal=signal_name("go on"))
        await perdure.run(new)
        assert steps.executed == ["1", "2", "1", "3", "2"]


async def started(client: Client, instance_id: str) -> None:
    """Wait until the instance exists and has run."""
    for _ in range(1000):
        if await client.count(id_prefix=instance_id):
            is_asleep = await client.read(instance_id, "asleep", bool, default=False)
            if is_asleep:
                return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def cancel_seen(handle: Handle[Any]) -> None:
    """Wait until the workflow has the cancel: a result that comes in the same instant may go first."""
    for _ in range(1000):
        if any([isinstance(each.event, CancelRequested) async for each in handle.history()]):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError
