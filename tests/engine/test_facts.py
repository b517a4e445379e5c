"""W4: what workflow code can know, the same on every replay; and what it tells the outside."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from perdure.app import App
from perdure.engine.limits import Limits
from perdure.errors import EncodeError
from perdure.model.event import ExecutionStarted
from perdure.model.transition import Checkpointed
from perdure.observability.logging import ReplayFilter
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import EPOCH, Run, act


@workflow
async def draws(ctx: Context) -> list[Any]:
    first = [ctx.random.random(), str(ctx.uuid4())]
    await act(ctx, "a")
    return [*first, ctx.random.randrange(10**9), str(ctx.uuid4())]


def test_random_and_uuids_are_the_same_on_every_replay() -> None:
    """W4."""
    kept, evicted = Run(draws), Run(draws, evicting=True)
    for run in (kept, evicted):
        run.complete("a")
    assert kept.result == evicted.result
    assert len(set(map(str, kept.result))) == 4


def test_random_differs_between_executions() -> None:
    """W4: it is seeded by the execution's id."""
    runs = [Run(draws, execution_id=bytes([number] * 16)) for number in range(3)]
    for run in runs:
        run.complete("a")
    assert len({str(run.result) for run in runs}) == 3


def test_a_uuid4_is_one() -> None:
    """W4."""

    @workflow
    async def makes(ctx: Context) -> list[Any]:
        made = ctx.uuid4()
        return [made.version, made.variant]

    assert Run(makes).result == [4, "specified in RFC 4122"]


def test_now_is_the_recorded_time_of_the_event(evicting: bool) -> None:
    """W4: aware, in UTC, to the microsecond."""

    @workflow
    async def looks(ctx: Context) -> list[datetime]:
        first = ctx.now()
        await act(ctx, "a")
        return [first, ctx.now()]

    run = Run(looks, evicting=evicting)
    run.now += 1_234_567
    run.complete("a")
    run.now += 99_000_000
    run.evict()
    first, second = run.result
    assert first == datetime.fromtimestamp(EPOCH / 1e6, UTC)
    assert (second - first).total_seconds() == 1.234567


def test_info_tells_the_facts_of_the_execution(evicting: bool) -> None:
    """W4."""

    @workflow
    async def tells(ctx: Context) -> dict[str, Any]:
        await act(ctx, "a")
        info = ctx.info
        return {each: getattr(info, each) for each in info.__struct_fields__}

    run = Run(tells, evicting=evicting)
    run.complete("a")
    told = run.result
    assert told["instance_id"] == "test"
    assert told["execution_id"] == bytes(range(16)).hex()
    assert (told["execution_number"], told["workflow"], told["queue"], told["priority"]) == (1, "tells", "default", 0)
    assert told["history_length"] == 3
    assert told["parent_instance_id"] is told["deadline_at"] is told["version"] is None
    assert told["continue_as_new_suggested"] is False
    assert told["python"].startswith("3.")


def test_python_and_version_are_those_of_the_history(evicting: bool) -> None:
    """W2, W12: recorded at the start."""

    @workflow
    async def tells(ctx: Context) -> list[str | None]:
        return [ctx.info.python, ctx.info.version, str(ctx.info.execution_number)]

    run = Run(tells, begin=False)
    run.feed(ExecutionStarted(at=EPOCH, workflow="tells", arguments=b"[]", python="", version="v7", execution_number=3))
    started = run.history[0]
    assert isinstance(started, ExecutionStarted)
    assert run.result == [started.python, "v7", "3"]
    assert started.python.startswith("3.")


def test_is_replaying_is_true_for_what_ran_before() -> None:
    """W4."""
    seen: list[bool] = []

    @workflow
    async def looks(ctx: Context) -> None:
        seen.append(ctx.is_replaying)
        await act(ctx, "a")
        seen.append(ctx.is_replaying)

    run = Run(looks)
    run.evict()
    run.complete("a")
    assert seen == [False, True, False]


def test_the_logger_is_silent_in_replay_and_carries_the_ids(caplog: pytest.LogCaptureFixture) -> None:
    """W4."""

    @workflow
    async def logs(ctx: Context) -> None:
        ctx.logger.warning("first %s", 1, extra={"mine": "x"})
        await act(ctx, "a")
        ctx.logger.warning("second")

    run = Run(logs, logger=logging.getLogger("test.workflows"))
    run.evict()
    run.complete("a")
    run.replayed()
    assert [each.getMessage() for each in caplog.records] == ["first 1", "second"]
    record: Any = caplog.records[0]
    assert (record.instance_id, record.workflow, record.mine) == ("test", "logs", "x")
    assert record.execution_id == bytes(range(16)).hex()
    assert record.name == "test.workflows"


def test_the_logger_is_silent_while_the_execution_leaves_memory(caplog: pytest.LogCaptureFixture) -> None:
    """E3: finally blocks of closed coroutines."""

    @workflow
    async def logs(ctx: Context) -> None:
        try:
            await act(ctx, "a")
        finally:
            ctx.logger.warning("closing")

    Run(logs).evict()
    assert not caplog.records


def test_other_loggers_are_silent_in_replay_with_the_filter() -> None:
    """W4: ReplayFilter on a handler knows, also in helpers and tasks."""
    records: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    handler, logger = Keeping(), logging.getLogger("some.library")
    handler.addFilter(ReplayFilter())
    logger.addHandler(handler)

    async def helper(name: str) -> None:
        logger.warning(name)

    @workflow
    async def logs(ctx: Context) -> None:
        await asyncio.create_task(helper("first"))
        await act(ctx, "a")
        await helper("second")

    try:
        run = Run(logs)
        run.evict()
        run.complete("a")
        run.replayed()
        logger.warning("outside")
    finally:
        logger.removeHandler(handler)
    assert records == ["first", "second", "outside"]


@workflow
async def publishes(ctx: Context) -> None:
    ctx.publish("step", 1)
    ctx.publish("step", 2)
    await act(ctx, "a")
    ctx.publish("step", 3)
    ctx.publish("other", {"x": [1]})
    await act(ctx, "b")


def test_published_values_are_saved_with_the_checkpoint_and_the_last_one_wins(evicting: bool) -> None:
    """W4: without an event; replay publishes nothing again."""
    run = Run(publishes, evicting=evicting)
    assert run.checkpoints[-1].published == {"step": b"2"}
    run.complete("a")
    assert run.checkpoints[-1].published == {"step": b"3", "other": b'{"x":[1]}'}
    run.complete("b")
    assert run.checkpoints[-1].published == {}
    assert len(run.history) == 6


def test_a_value_that_cant_be_published_is_refused_the_same_in_replay() -> None:
    """P3, E2: code that catches it takes the same way again."""

    @workflow
    async def tries(ctx: Context) -> str:
        try:
            ctx.publish("k", object())
        except EncodeError:
            return str(await act(ctx, "after"))
        return ""

    run = Run(tries, evicting=True)
    run.complete("after", "X")
    assert run.result == "X"


def test_continuing_is_suggested_past_the_warn_mark_and_recorded() -> None:
    """E6: an event of its own, so that replay sees it at the same place."""

    @workflow
    async def long(ctx: Context) -> int:
        while not ctx.info.continue_as_new_suggested:
            await act(ctx, "a")
        return ctx.info.history_length

    run = Run(long, limits=Limits(warn_events=10), evicting=True)
    run.to_end()
    assert run.kinds().count("ContinueSuggested") == 1
    at = run.kinds().index("ContinueSuggested")
    assert 10 <= at <= 12
    run.limits = Limits()
    run.assert_replays()


def test_the_suggestion_wakes_who_waits_for_it_and_replays() -> None:
    """E1, E6: the loop is drained after it as after every event."""

    @workflow
    async def waits(ctx: Context) -> str:
        async def on_suggestion() -> None:
            await ctx.wait_until(lambda: ctx.info.continue_as_new_suggested)
            await act(ctx, "suggested")

        task = asyncio.create_task(on_suggestion())
        for _ in range(5):
            await act(ctx, "a")
        await task
        return "done"

    run = Run(waits, limits=Limits(warn_events=6), evicting=True)
    run.to_end()
    assert run.result == "done"
    at = run.kinds().index("ContinueSuggested")
    assert run.kinds()[at + 1] == "ActivityScheduled"


def test_a_workflow_that_ends_by_the_suggestion_leaves_the_event_unconsumed() -> None:
    """E6, E1: what arrived after the end isn't applied."""

    @workflow
    async def ends(ctx: Context) -> None:
        act(ctx, "a")
        act(ctx, "b")
        await ctx.wait_until(lambda: ctx.info.continue_as_new_suggested)

    run = Run(ends, limits=Limits(warn_events=4))
    run.complete("a")
    checkpoint = run.complete("b")
    assert run.kinds()[-2:] == ["ContinueSuggested", "ExecutionCompleted"]
    assert checkpoint.consumed == ()
    run.assert_replays()


def test_bytes_suggest_continuing_too() -> None:
    """E6: what the store says that history takes."""

    @workflow
    async def looks(ctx: Context) -> bool:
        await act(ctx, "a")
        return ctx.info.continue_as_new_suggested

    run = Run(looks, limits=Limits(warn_bytes=1000))
    run.execution.committed(Checkpointed(events_bytes=1000))
    run.complete("a")
    assert run.result is True


def test_args_of_an_app_with_other_payloads_replay() -> None:
    """P1: the App's payloads are used throughout."""

    @workflow
    async def echoes(ctx: Context, value: dict[str, int]) -> dict[str, int]:
        return value

    run = Run(echoes, {"a": 1}, app=App(workflows=[echoes], payload_limit=100))
    assert run.result == {"a": 1}
