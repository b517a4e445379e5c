"""Attempts of activities, from the workflow's side: real workers on a store in memory."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from perdure.activities.context import NotInActivity, activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import ActivityTimeout, DecodeError, EncodeError, FailureError, PermanentError
from perdure.model.event import ActivityFailed
from perdure.model.options import Cancellation
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.model.transition import CompleteActivityTask, RecordHeartbeat
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.worker.support import Watched, as_backend, until

QUICK = RetryPolicy(max_attempts=3, initial_interval=timedelta(milliseconds=1))


def app_of(target: Any, *args: Any) -> App:
    """An App whose workflow `run` executes the activity and says how that ended."""

    @workflow(name="run")
    async def run(ctx: Context) -> Any:
        return await ctx.execute_activity(target, *args)

    return App(workflows=[run], activities=[target])


async def run(app: App, backend: Any) -> Any:
    async with Client(backend, app) as client, Worker(backend, app, grace=0):
        return await client.run(app.workflows["run"])


async def failure_of(app: App, backend: Any) -> BaseException:
    """What the activity's await raised."""
    async with Client(backend, app) as client, Worker(backend, app, grace=0):
        handle = await client.start(app.workflows["run"])
        with pytest.raises(Exception) as caught:
            await handle.result()
        assert caught.value.__cause__ is not None
        return caught.value.__cause__


@pytest.mark.needs_cache  # it counts what a fused result saves
async def test_a2_a_failed_attempt_is_tried_again_without_the_workflow_hearing_of_it(watched: Watched) -> None:
    attempts: list[int] = []

    @activity(retry=QUICK)
    async def flaky() -> int:
        attempts.append(activity_context().attempt)
        if len(attempts) < 3:
            raise ConnectionError("not yet")
        return len(attempts)

    assert await run(app_of(flaky), as_backend(watched)) == 3
    assert attempts == [1, 2, 3]
    assert len(watched.of_kind(CompleteActivityTask)) == 2


async def test_a2_the_last_attempts_exception_is_raised_in_the_workflow(memory: MemoryBackend) -> None:
    @activity(retry=QUICK)
    def broken() -> None:
        raise LookupError("nothing there")

    problem = await failure_of(app_of(broken), memory)

    assert isinstance(problem, LookupError)
    assert str(problem) == "nothing there"


async def test_a2_a_permanent_error_anywhere_in_the_chain_stops_retries(memory: MemoryBackend) -> None:
    attempts: list[int] = []

    @activity(retry=QUICK)
    async def broken() -> None:
        attempts.append(1)
        try:
            raise PermanentError("the card is stolen")
        except PermanentError as cause:
            raise RuntimeError("charging failed") from cause

    assert isinstance(await failure_of(app_of(broken), memory), RuntimeError)
    assert attempts == [1]


async def test_arguments_that_dont_decode_are_a_permanent_failure(memory: MemoryBackend) -> None:
    called: list[Any] = []

    @activity(name="count", retry=QUICK)
    async def as_text(value: str) -> None:
        called.append(value)

    @activity(name="count", retry=QUICK)
    async def as_number(value: int) -> None:
        called.append(value)

    @workflow(name="run")
    async def runs(ctx: Context) -> None:
        await ctx.execute_activity(as_text, "seven")

    theirs = App(workflows=[runs], activities=[as_text])
    ours = App(activities=[as_number])
    async with (
        Client(memory, theirs) as client,
        Worker(memory, theirs, activity_queues=()),
        Worker(memory, ours),
    ):
        handle = await client.start(runs)
        with pytest.raises(Exception) as caught:
            await handle.result()
        [failed] = [each.event async for each in handle.history() if isinstance(each.event, ActivityFailed)]

    assert isinstance(caught.value.__cause__, DecodeError)
    assert failed.attempts == 1
    assert failed.failure.permanent
    assert called == []


async def test_a_result_that_cant_be_encoded_is_a_permanent_failure(memory: MemoryBackend) -> None:
    attempts: list[int] = []

    @activity(retry=QUICK)
    async def wrong() -> int:
        attempts.append(1)
        return cast("int", object())

    assert isinstance(await failure_of(app_of(wrong), memory), EncodeError)
    assert attempts == [1]


async def test_system_exit_in_an_activity_fails_the_activity_not_the_worker(memory: MemoryBackend) -> None:
    @activity(retry=NO_RETRY)
    async def leave() -> None:
        sys.exit(3)

    @activity(retry=NO_RETRY)
    def leave_thread() -> None:
        sys.exit(4)

    for each in (leave, leave_thread):
        problem = await failure_of(app_of(each), MemoryBackend())
        assert isinstance(problem, FailureError)
        assert problem.type == "SystemExit"


async def test_a_cancelled_error_of_its_own_is_a_failure_and_never_a_cancelled_error_in_the_workflow(
    memory: MemoryBackend,
) -> None:
    @activity(retry=NO_RETRY)
    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    problem = await failure_of(app_of(cancels_itself), memory)

    assert isinstance(problem, FailureError)
    assert problem.type == "CancelledError"


# --- time-outs


async def test_a3_timeout_cancels_an_async_attempt(memory: MemoryBackend) -> None:
    cleaned_up: list[int] = []

    @activity(timeout=0.05, retry=RetryPolicy(max_attempts=2, initial_interval=timedelta(0)))
    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append(activity_context().attempt)

    problem = await failure_of(app_of(hang), memory)

    assert isinstance(problem, ActivityTimeout)
    assert "timeout in attempt 2" in str(problem)
    assert cleaned_up == [1, 2]


async def test_a3_timeout_gives_up_an_attempt_in_a_thread_whose_slot_stays_taken(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    free, seen = threading.Event(), []

    @activity(timeout=0.05, retry=NO_RETRY)
    def hang() -> None:
        free.wait(10)
        seen.append(activity_context().cancelled)

    app = app_of(hang)
    backend = as_backend(watched)
    async with Client(backend, app) as client, Worker(backend, app, max_activities=1):
        first = await client.start(app.workflows["run"])
        with pytest.raises(Exception) as caught:
            await first.result()
        assert isinstance(caught.value.__cause__, ActivityTimeout)
        assert "slot stays taken" in caplog.text
        second = await client.start(app.workflows["run"])
        await asyncio.sleep(0.1)
        [pending] = await backend.read_activities(second.instance_id)
        assert pending.worker is None  # it waits for the slot
        free.set()
        await until(lambda: len(seen) == 2)
        assert await second.result() is None

    assert seen == [True, False]


async def test_a3_a_coroutine_that_swallows_its_cancel_and_returns_has_returned(memory: MemoryBackend) -> None:
    @activity(timeout=0.05, retry=NO_RETRY)
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "what there is"
        return "all"

    assert await run(app_of(stubborn), memory) == "what there is"


async def test_a3_total_timeout_ends_the_attempt_and_all_others(memory: MemoryBackend) -> None:
    attempts: list[int] = []

    @activity(total_timeout=0.1, retry=RetryPolicy(initial_interval=timedelta(0)))
    async def hang() -> None:
        attempts.append(1)
        await asyncio.sleep(60)

    problem = await failure_of(app_of(hang), memory)

    assert isinstance(problem, ActivityTimeout)
    assert "total_timeout" in str(problem)
    assert attempts == [1]


async def test_a3_missing_heartbeats_end_the_attempt(memory: MemoryBackend) -> None:
    @activity(heartbeat_timeout=0.1, retry=NO_RETRY)
    async def falls_silent() -> None:
        for _ in range(4):
            await asyncio.sleep(0.05)
            activity_context().heartbeat()
        await asyncio.sleep(60)

    began = time.monotonic()
    problem = await failure_of(app_of(falls_silent), memory)

    assert isinstance(problem, ActivityTimeout)
    assert "heartbeat_timeout" in str(problem)
    assert time.monotonic() - began > 0.25


# --- heartbeats


async def test_a1_the_next_attempt_gets_the_last_heartbeats_details(memory: MemoryBackend) -> None:
    seen: list[Any] = []

    @activity(retry=QUICK)
    async def copy() -> None:
        context = activity_context()
        seen.append(context.heartbeat_details(tuple[str, int]))
        context.heartbeat("file", 10 * context.attempt)
        context.heartbeat("file", 10 * context.attempt + 1)
        if context.attempt < 3:
            raise ConnectionError

    await run(app_of(copy), memory)

    assert seen == [None, ("file", 11), ("file", 21)]


async def test_a1_heartbeats_come_from_threads_too(memory: MemoryBackend) -> None:
    seen: list[Any] = []

    @activity(retry=QUICK)
    def copy() -> None:
        context = activity_context()
        seen.append(context.heartbeat_details(int))
        for row in range(1_000):
            context.heartbeat(row)
        if context.attempt == 1:
            raise ConnectionError

    await run(app_of(copy), memory)

    assert seen == [None, 999]


async def test_heartbeats_in_a_tight_loop_reach_the_store_seldom(watched: Watched) -> None:
    @activity
    async def busy() -> None:
        for row in range(1_000):
            activity_context().heartbeat(row)
            await asyncio.sleep(0)

    await run(app_of(busy), as_backend(watched))

    assert len(watched.of_kind(RecordHeartbeat)) <= 2


async def test_heartbeat_details_that_cant_be_stored_are_refused_at_the_call(memory: MemoryBackend) -> None:
    @activity(retry=NO_RETRY)
    async def wrong() -> str:
        with pytest.raises(EncodeError):
            activity_context().heartbeat(object())
        return "refused"

    assert await run(app_of(wrong), memory) == "refused"


# --- cancellation


def cancelled_app(target: Any) -> App:
    @workflow(name="run")
    async def run(ctx: Context) -> Any:
        return await ctx.execute_activity(target.with_options(cancellation=Cancellation.REQUEST))

    return App(workflows=[run], activities=[target])


async def state_after_cancel(app: App, backend: Any, begun: Callable[[], object]) -> tuple[str, ActivityFailed | None]:
    async with Client(backend, app) as client, Worker(backend, app):
        handle = await client.start(app.workflows["run"])
        await until(begun)
        await handle.cancel()
        state = await handle.wait()
        events = [each.event async for each in handle.history()]
        return state, next((each for each in events if isinstance(each, ActivityFailed)), None)


async def test_w7_a_running_async_activity_gets_cancelled_error(memory: MemoryBackend) -> None:
    said: list[str] = []

    @activity
    async def work() -> None:
        said.append("begun")
        try:
            await asyncio.sleep(60)
        finally:
            said.append("cleaned up")

    state, failed = await state_after_cancel(cancelled_app(work), memory, lambda: said)

    assert said == ["begun", "cleaned up"]
    assert state == "cancelled"
    assert failed is not None
    assert failed.cancelled


@pytest.mark.parametrize("how", ["looks", "heartbeats"])
async def test_w7_a_thread_sees_the_cancel(memory: MemoryBackend, how: str) -> None:
    said: list[str] = []

    @activity
    def work() -> str:
        said.append("begun")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if how == "heartbeats":
                activity_context().heartbeat()
            elif activity_context().cancelled:
                return "stopped early"
            time.sleep(0.001)
        return "never told"

    state, failed = await state_after_cancel(cancelled_app(work), memory, lambda: said)

    assert state == ("completed" if how == "looks" else "cancelled")
    assert (failed is not None and failed.cancelled) == (how == "heartbeats")


async def test_a_worker_with_no_free_slot_hears_of_a_cancel_too(watched: Watched) -> None:
    said: list[str] = []

    @activity
    async def work() -> None:
        said.append("begun")
        await asyncio.sleep(60)

    app = cancelled_app(work)
    backend = as_backend(watched)
    async with (
        Client(backend, app) as client,
        Worker(backend, app, activity_queues=()),
        Worker(backend, App(activities=[work]), max_activities=1),
    ):
        handle = await client.start(app.workflows["run"])
        await until(lambda: said)
        await handle.cancel()
        assert await handle.wait() == "cancelled"


# --- the context


async def test_a1_the_context_says_what_runs(memory: MemoryBackend, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen: dict[str, Any] = {}

    def note() -> None:
        context = activity_context()
        context.logger.info("at work")
        seen.update(
            activity=context.activity,
            attempt=context.attempt,
            instance_id=context.instance_id,
            execution_id=context.execution_id,
            workflow=context.workflow,
            number=context.number,
            queue=context.queue,
            cancelled=context.cancelled,
            worker_stopping=context.worker_stopping,
            key=context.idempotency_key,
            at=context.scheduled_at,
        )

    @activity
    def look() -> None:
        note()

    app = app_of(look)
    async with Client(memory, app) as client, Worker(memory, app):
        handle = await client.start(app.workflows["run"].with_options(instance_id="order-7"))
        await handle.result()
        info = await handle.info()

    assert seen["activity"] == "look"
    assert (seen["attempt"], seen["number"], seen["queue"]) == (1, 1, "default")
    assert (seen["instance_id"], seen["execution_id"], seen["workflow"]) == ("order-7", info.execution_id, "run")
    assert (seen["cancelled"], seen["worker_stopping"]) == (False, False)
    assert seen["key"] == f"{info.execution_id}-1"
    assert seen["at"] >= info.created_at
    [record] = [each for each in caplog.records if each.message == "at work"]
    assert record.__dict__["instance_id"] == "order-7"
    assert record.__dict__["activity"] == "look"
    assert record.__dict__["attempt"] == 1


async def test_a1_a_token_completes_the_activity_from_elsewhere(memory: MemoryBackend) -> None:
    tokens: list[str] = []

    @activity
    async def ask_a_human() -> str:
        context = activity_context()
        tokens.append(context.token)
        while True:
            context.heartbeat()
            await asyncio.sleep(0.01)

    app = app_of(ask_a_human.with_options(heartbeat_timeout=0.4))
    async with Client(memory, app) as client, Worker(memory, app) as worker:
        handle = await client.start(app.workflows["run"])
        await until(lambda: tokens)
        await client.complete_activity(tokens[0], "yes")
        assert await handle.result() == "yes"
        await worker.stop()


def test_there_is_no_context_outside() -> None:
    with pytest.raises(NotInActivity):
        activity_context()


@pytest.mark.needs_cache
async def test_f3_workflows_that_have_ended_leave_nothing_to_the_garbage_collector(memory: MemoryBackend) -> None:
    """Reference counting frees executions, attempts and their tasks: a collection would have to look at all of them."""

    @activity
    async def twice(x: int) -> int:
        return 2 * x

    @workflow
    async def once(ctx: Context, x: int) -> int:
        return await ctx.execute_activity(twice, x)

    app = App(workflows=[once], activities=[twice])
    async with Client(memory, app) as client, Worker(memory, app):
        await client.run(once, 0)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for x in range(100):
                await client.run(once, x)
            gc.collect()
            ours = [type(thing) for thing in gc.garbage if type(thing).__module__.startswith("perdure")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert not ours
