"""W10: how an execution ends, and what becomes of what it leaves behind."""

# ruff: noqa: RUF006 - the workflow loop keeps its tasks

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.model.instance import State
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act


def closing(run: Run) -> Any:
    found = run.checkpoints[-1].closing
    assert found is not None
    return found


def test_a_return_completes(evicting: bool) -> None:
    """W10: encoded by its annotation."""

    @workflow
    async def returns(ctx: Context) -> dict[str, int]:
        return {"a": 1}

    run = Run(returns, evicting=evicting)
    assert (closing(run).state, closing(run).result) == (State.COMPLETED, b'{"a":1}')


def test_a_result_that_cant_be_stored_fails_the_workflow(evicting: bool) -> None:
    """W10: it was the workflow's fault."""

    @workflow
    async def returns(ctx: Context) -> Any:
        return object()

    run = Run(returns, evicting=evicting)
    assert (run.end, run.failure.type_name) == ("FAILED", "EncodeError")


class Quits(BaseException):
    """Of no kind that asyncio knows."""


@pytest.mark.parametrize(
    ("error", "type_name"),
    [
        (ValueError("x"), "ValueError"),
        (SystemExit(3), "SystemExit"),
        (Quits("x"), "Quits"),
        (ExceptionGroup("g", [ValueError(), KeyError()]), "ExceptionGroup"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (GeneratorExit(), "GeneratorExit"),
        (TimeoutError(), "TimeoutError"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else "",
)
def test_an_exception_fails_it(error: BaseException, type_name: str, evicting: bool) -> None:
    """W10: whatever kind, and never the worker."""

    @workflow
    async def raises(ctx: Context) -> None:
        await act(ctx, "a")
        raise error

    run = Run(raises, evicting=evicting)
    run.complete("a")
    assert (run.end, run.failure.type_name) == ("FAILED", type_name)
    assert closing(run).state is State.FAILED


def test_a_keyboard_interrupt_is_the_workers() -> None:
    """W10: Ctrl-C while workflow code runs ends the worker, not the workflow."""

    @workflow
    async def interrupted(ctx: Context) -> None:
        raise KeyboardInterrupt

    run = Run(interrupted, begin=False)
    with pytest.raises(KeyboardInterrupt):
        run.feed(run.started)
    assert run.history == []


def test_a_group_of_failures_keeps_them_all(evicting: bool) -> None:
    """W10."""

    @workflow
    async def groups(ctx: Context) -> None:
        async def fail(kind: type[Exception]) -> None:
            await act(ctx, "a")
            raise kind

        async with asyncio.TaskGroup() as group:
            group.create_task(fail(ValueError))
            group.create_task(act(ctx, "b"))

    run = Run(groups, evicting=evicting)
    run.complete("a")
    assert run.failure.type_name == "ExceptionGroup"
    assert [each.type_name for each in run.failure.children] == ["ValueError"]
    assert run.kinds()[-2:] == ["ActivityCancelled", "ExecutionFailed"]


def test_a_system_exit_in_another_task_is_that_tasks() -> None:
    """W10: the drain survives it."""

    @workflow
    async def survives(ctx: Context) -> str:
        async def leave() -> None:
            raise SystemExit(1)

        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        return type(task.exception()).__name__

    assert Run(survives).result == "SystemExit"


def test_a_cancelled_error_that_nobody_asked_for_fails_it(evicting: bool) -> None:
    """W7: CANCELLED is for who was cancelled."""

    @workflow
    async def lets_through(ctx: Context) -> None:
        await act(ctx, "a")
        raise asyncio.CancelledError

    run = Run(lets_through, evicting=evicting)
    run.complete("a")
    assert (run.end, run.failure.type_name) == ("FAILED", "CancelledError")
    assert "nobody had cancelled" in run.failure.message


LOG: list[str] = []


def test_other_tasks_are_closed_and_issue_nothing(evicting: bool) -> None:
    """W10, E3: when the main coroutine ends, the drain stops."""

    @workflow
    async def leaves(ctx: Context) -> str:
        LOG.clear()

        async def other() -> None:
            try:
                await act(ctx, "never done")
            except asyncio.CancelledError:
                LOG.append("CancelledError")
                raise
            finally:
                LOG.append("finally")
                act(ctx, "from the finally")

        async def ready() -> None:
            LOG.append("began")
            await asyncio.sleep(0)
            act(ctx, "after the end")

        asyncio.create_task(other())
        await act(ctx, "a")
        asyncio.create_task(ready())
        return "done"

    run = Run(leaves, evicting=evicting)
    run.complete("a")
    assert run.result == "done"
    assert run.scheduled() == ["a", "never done"]
    assert LOG == ["finally"]


def test_commands_already_issued_are_recorded_and_those_not_begun_never_begin() -> None:
    """W10."""

    @workflow
    async def leaves(ctx: Context) -> None:
        act(ctx, "first")
        await act(ctx, "a")
        act(ctx, "last")

    run = Run(leaves)
    checkpoint = run.complete("a")
    assert run.kinds()[-2:] == ["ActivityScheduled", "ExecutionCompleted"]
    assert checkpoint.activities == ()


def test_a_warning_names_the_activities_whose_results_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """W10: unless workflow code gave them up; and not in replay."""

    @workflow
    async def leaves(ctx: Context) -> None:
        act(ctx, "lost")
        given_up = act(ctx, "given up")
        await act(ctx, "a")
        given_up.cancel()

    run = Run(leaves)
    run.complete("a")
    [record] = caplog.records
    message = record.getMessage()
    assert "lost (1)" in message
    assert "given up" not in message
    assert "leaves (test)" in message
    caplog.clear()
    run.replayed()
    assert not caplog.records


def test_the_warning_stays_readable(caplog: pytest.LogCaptureFixture) -> None:
    """W10: ten names at most."""

    @workflow
    async def leaves(ctx: Context) -> None:
        for number in range(25):
            act(ctx, f"a{number}")

    Run(leaves)
    assert "and 15 more" in caplog.records[0].getMessage()


def test_what_came_after_the_end_isnt_consumed() -> None:
    """W10: signals and results that the ended execution never saw."""
    from perdure.model.event import SignalReceived

    @workflow
    async def ends(ctx: Context) -> None: ...

    run = Run(ends, begin=False)
    signals = [SignalReceived(at=run.now, name="s", payload=b"1") for _ in range(3)]
    checkpoint = run.feed(run.started, *signals)
    assert checkpoint.consumed == ()
    assert run.kinds() == ["ExecutionStarted", "ExecutionCompleted"]


def test_what_was_applied_is_consumed_in_order() -> None:
    """B3: by the ids of the pending events; the start has none."""
    from perdure.model.event import SignalReceived

    @workflow
    async def waits(ctx: Context) -> None:
        await asyncio.Event().wait()

    run = Run(waits, begin=False)
    signals = [SignalReceived(at=run.now, name="s", payload=b"1") for _ in range(3)]
    assert run.feed(run.started, *signals).consumed == (1, 2, 3)


def test_an_ended_execution_takes_no_more_events_in_replay() -> None:
    """E2: a history that goes on after its end isn't this code's."""
    from perdure.errors import NonDeterminismError

    def version(is_short: bool) -> Any:
        @workflow(name="changed")
        async def changed(ctx: Context) -> None:
            if not is_short:
                await act(ctx, "a")

        return changed

    run = Run(version(False))
    run.complete("a")
    with pytest.raises(NonDeterminismError):
        run.replayed(version(True))
