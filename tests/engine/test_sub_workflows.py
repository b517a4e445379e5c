"""W11: sub-workflows: their ids, what the store is told, how their ends come back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.app import App
from perdure.errors import SubWorkflowError
from perdure.model.checkpoint import SendCancel, SendSignal, StartSubWorkflow
from perdure.model.event import SignalDelivered, SubWorkflowFailed, SubWorkflowScheduled
from perdure.model.names import LONGEST
from perdure.model.options import ParentClose
from perdure.model.retry import RetryPolicy
from perdure.serialization.failures import to_failure
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

number = Signal("number", int)


@workflow
async def child(ctx: Context, value: int = 0) -> str:
    return str(value)


def starts(run: Run) -> list[StartSubWorkflow]:
    return [
        each for checkpoint in run.checkpoints for each in checkpoint.messages if isinstance(each, StartSubWorkflow)
    ]


def cancels(run: Run) -> list[SendCancel]:
    return [each for checkpoint in run.checkpoints for each in checkpoint.messages if isinstance(each, SendCancel)]


@workflow
async def parent(ctx: Context) -> str:
    return await ctx.execute_sub_workflow(child, 7)


def test_the_store_is_told_to_create_an_instance(evicting: bool) -> None:
    """W11: queue, priority and version are the parent's."""
    run = Run(parent, evicting=evicting)
    [start] = starts(run)
    assert (start.workflow, start.queue, start.priority, start.version) == ("child", "default", 0, None)
    assert start.started.arguments == b"[7]"
    assert start.parent_close is ParentClose.CANCEL
    assert not start.replaces_failed
    run.complete_child(1, "seven")
    assert run.result == "seven"


def test_options_are_the_sub_workflows_own() -> None:
    """W11."""

    @workflow
    async def chooses(ctx: Context) -> None:
        definition = child.with_options(
            instance_id="mine", queue="eu", priority=3, parent_close="abandon", timeout=timedelta(hours=1),
            start_delay=5.0, tags={"a": "b"},
        )  # fmt: skip
        future = ctx.execute_sub_workflow(definition, 1)
        assert future.instance_id == "mine"
        await future

    [start] = starts(Run(chooses))
    assert (start.instance_id, start.queue, start.priority) == ("mine", "eu", 3)
    assert (start.parent_close, start.timeout, start.start_delay) == (ParentClose.ABANDON, 3_600_000_000, 5_000_000)
    assert start.tags == {"a": "b"}


@workflow
async def several(ctx: Context) -> list[str]:
    futures = [ctx.execute_sub_workflow(child, value) for value in range(3)]
    ids = [future.instance_id for future in futures]
    return [*ids, *await asyncio.gather(*futures)]


def test_derived_ids_are_the_same_on_every_replay_and_differ_from_each_other(evicting: bool) -> None:
    """W11: they name the parent, its execution and the command."""
    run, twin = Run(several, evicting=evicting), Run(several, execution_id=bytes(16))
    for each in (1, 2, 3):
        run.complete_child(each, f"r{each}")
    ids = run.result[:3]
    assert len(set(ids)) == 3
    assert all(each.startswith("test/00010203.") for each in ids)
    assert ids == [each.instance_id for each in starts(run)]
    assert set(ids).isdisjoint(each.instance_id for each in starts(twin))
    assert len({each.execution_id for each in starts(run)}) == 3
    assert run.result[3:] == ["r1", "r2", "r3"]


def test_a_derived_id_is_never_too_long() -> None:
    """C2: a long parent's id gives way to the execution's."""
    from perdure.engine.runtime import _child_id

    class Core:
        class task:
            instance_id = "x" * LONGEST
            execution_id = bytes(16)

    derived = _child_id(Core, 123)  # type: ignore[arg-type]
    assert len(derived.encode()) <= LONGEST
    assert derived.endswith(".123")


@workflow
async def catches(ctx: Context) -> list[Any]:
    try:
        await ctx.execute_sub_workflow(child)
    except SubWorkflowError as problem:
        return ["SubWorkflowError", problem.type, str(problem)]
    except ValueError as problem:
        return ["ValueError", str(problem)]
    return []


def test_a_taken_id_fails_the_future_and_nothing_else(evicting: bool) -> None:
    """W11."""
    run = Run(catches, evicting=evicting)
    run.fail_child(1, "the id is taken", refused=True)
    assert run.result == ["SubWorkflowError", "SubWorkflowError", "the id is taken"]


def test_a_failure_comes_back_as_its_type(evicting: bool) -> None:
    """P2."""
    run = Run(catches, evicting=evicting)
    failure = to_failure(ValueError("bad"), run.app.payloads)
    run.feed(SubWorkflowFailed(at=run.now, number=1, failure=failure))
    assert run.result == ["ValueError", "bad"]


def test_one_that_ended_cancelled_without_us_is_an_error(evicting: bool) -> None:
    """W7: never a CancelledError, which a TaskGroup would take for success."""
    run = Run(catches, evicting=evicting)
    run.fail_child(1, "cancelled by somebody", cancelled=True)
    assert run.result[0] == "SubWorkflowError"


def test_a_signal_to_it_goes_to_its_instance(evicting: bool) -> None:
    """W11: the future's signal."""

    @workflow
    async def signals(ctx: Context) -> str:
        future = ctx.execute_sub_workflow(child.with_options(instance_id="kid"))
        await future.signal(number, 5)
        return await future

    run = Run(signals, evicting=evicting)
    [start, sent] = run.checkpoints[0].messages
    assert isinstance(start, StartSubWorkflow)
    assert isinstance(sent, SendSignal)
    assert (sent.instance_id, sent.signal.payload) == ("kid", b"5")
    run.feed(SignalDelivered(at=run.now, number=sent.number))
    run.complete_child(1, "x")
    assert run.result == "x"


def test_cancelling_the_future_asks_it_to_cancel_once(evicting: bool) -> None:
    """W8: CancelledError at once, and whatever comes of it is dropped."""

    @workflow
    async def gives_up(ctx: Context) -> str:
        future = ctx.execute_sub_workflow(child)
        try:
            async with asyncio.timeout(5):
                await future
        except TimeoutError:
            future.cancel()
            return str(await act(ctx, "after"))
        return ""

    run = Run(gives_up, evicting=evicting)
    run.wait(5)
    [cancel] = cancels(run)
    assert (cancel.instance_id, cancel.child_number) == (starts(run)[0].instance_id, starts(run)[0].number)
    run.fail_child(starts(run)[0].number, cancelled=True)
    run.complete("after", "A")
    assert run.result == "A"
    assert run.kinds().count("SubWorkflowCancelled") == 1


def test_one_that_is_cancelled_in_the_drain_that_issues_it_was_never_started(evicting: bool) -> None:
    """E1."""

    @workflow
    async def changes_its_mind(ctx: Context) -> None:
        ctx.execute_sub_workflow(child).cancel()
        await act(ctx, "a")

    run = Run(changes_its_mind, evicting=evicting)
    assert run.checkpoints[0].messages == ()


RETRIED = child.with_options(
    instance_id="kid", retry=RetryPolicy(max_attempts=3, initial_interval=timedelta(seconds=10), jitter=0)
)


@workflow
async def retries(ctx: Context) -> str:
    return await ctx.execute_sub_workflow(RETRIED, 1)


def test_a_failed_one_is_started_again_under_the_same_id_after_a_timer(evicting: bool) -> None:
    """W11."""
    run = Run(retries, evicting=evicting)
    run.fail_child(1)
    assert run.timers == [10]
    run.wait(10)
    run.fail_child(starts(run)[-1].number)
    assert run.timers == [10, 30]
    run.wait(20)
    run.complete_child(starts(run)[-1].number, "third")
    assert run.result == "third"
    assert [each.replaces_failed for each in starts(run)] == [False, True, True]
    assert {each.instance_id for each in starts(run)} == {"kid"}
    assert len({each.execution_id for each in starts(run)}) == 3
    run.assert_replays()


def test_the_last_failure_is_raised(evicting: bool) -> None:
    """W11: after as many attempts as the policy has."""
    run = Run(retries, evicting=evicting)
    for attempt in range(3):
        run.fail_child(starts(run)[-1].number, f"failure {attempt}")
        if attempt < 2:
            run.fire()
    assert run.failure.message == "failure 2"


def test_a_refused_id_is_never_retried() -> None:
    """W11: trying again would be refused again."""
    run = Run(retries)
    run.fail_child(1, refused=True)
    assert run.end == "FAILED"


def test_jitter_is_the_same_on_every_replay() -> None:
    """W11: drawn from the execution's id."""
    jittered = child.with_options(retry=RetryPolicy(initial_interval=timedelta(seconds=100), jitter=0.5))

    @workflow
    async def retrying(ctx: Context) -> str:
        return await ctx.execute_sub_workflow(jittered, 1)

    dues = set()
    for evicting in (False, True):
        run = Run(retrying, evicting=evicting)
        run.fail_child(1)
        dues.add(run.timers[0])
        run.assert_replays()
    assert len(dues) == 1
    assert dues != {100.0}


def test_cancelling_between_two_tries_removes_the_timer(evicting: bool) -> None:
    """W8."""

    @workflow
    async def gives_up(ctx: Context) -> str:
        future = ctx.execute_sub_workflow(RETRIED, 1)
        await act(ctx, "a")
        future.cancel()
        return str(await act(ctx, "b"))

    run = Run(gives_up, evicting=evicting)
    run.fail_child(1)
    run.complete("a")
    assert run.kinds()[-2:] == ["TimerCancelled", "ActivityScheduled"]
    assert cancels(run) == []
    run.complete("b", "B")
    assert run.result == "B"


@pytest.mark.parametrize("moment", ["running", "between", "again"])
def test_the_instances_cancel_ends_the_tries(moment: str, evicting: bool) -> None:
    """W7, W11: what runs is asked, what waits isn't tried again."""
    run = Run(retries, evicting=evicting)
    if moment != "running":
        run.fail_child(1)
    if moment == "again":
        run.fire()
    run.cancel()
    if moment == "between":
        assert run.end == "CANCELLED"
        return
    assert run.end == "running"
    assert len(cancels(run)) == 1
    run.fail_child(starts(run)[-1].number, "failed while cancelling")
    assert run.end == "FAILED"
    assert len(starts(run)) == (1 if moment == "running" else 2)


def test_the_instances_cancel_asks_it_and_its_end_is_awaited(evicting: bool) -> None:
    """W7: ended cancelled, that is a CancelledError; with a result, that is the await's."""
    cancelled, completed = Run(parent, evicting=evicting), Run(parent, evicting=evicting)
    for run in (cancelled, completed):
        run.cancel()
        assert len(cancels(run)) == 1
        assert run.end == "running"
    cancelled.fail_child(1, cancelled=True)
    completed.complete_child(1, "all the same")
    assert cancelled.end == "CANCELLED"
    assert completed.result == "all the same"


def test_a_sub_workflow_on_a_disconnected_context_isnt_asked(evicting: bool) -> None:
    """W7: clean-up may take workflows."""

    @workflow
    async def cleans_up(ctx: Context) -> str:
        return await ctx.disconnected().execute_sub_workflow(child)

    run = Run(cleans_up, evicting=evicting)
    run.cancel()
    assert cancels(run) == []
    run.complete_child(1, "cleaned")
    assert run.result == "cleaned"


def test_the_recorded_input_is_compared_with_todays_types() -> None:
    """E2, W11."""
    run = Run(parent)
    [event] = [each for each in run.history if isinstance(each, SubWorkflowScheduled)]
    assert (event.workflow, event.arguments, event.queue) == ("child", b"[7]", "default")


def test_an_undecorated_workflow_can_be_a_sub_workflow() -> None:
    """W11."""

    async def plain(ctx: Context) -> int:
        return 1

    @workflow
    async def calls(ctx: Context) -> int:
        return await ctx.execute_sub_workflow(plain)

    run = Run(calls, app=App(workflows=[calls, plain]))
    assert starts(run)[0].workflow == "plain"
    run.complete_child(1, 5)
    assert run.result == 5
