"""What workers log: about whom, how loud, how often, and never what is in payloads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import pydantic
import pytest

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.memory.store import MemoryStore
from perdure.backends.protocol import WorkerStart
from perdure.client.client import Client
from perdure.engine.limits import Limits
from perdure.errors import EncodeError, WorkflowFailed
from perdure.model.retry import RetryPolicy
from perdure.model.transition import ClaimTasks
from perdure.orchestrator import Orchestrator
from perdure.testing.conformance import ManualClock, builders
from perdure.worker.housekeeper import keep_house
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import until, until_async

SECRET = "4111-1111"


@activity
async def charge(card: str) -> str:
    activity_context().logger.info("charging")
    return card


@workflow
async def checkout(ctx: Context, card: str) -> str:
    ctx.logger.info("begun")
    return await ctx.execute_activity(charge, card)


app = App(workflows=[checkout], activities=[charge])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What it has beside what every record has."""
    usual = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime", "taskName"}
    return {name: value for name, value in record.__dict__.items() if name not in usual}


async def test_records_say_whom_they_are_about(memory: MemoryBackend, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "perdure")
    async with Orchestrator(memory, app, name="worker-1") as perdure:
        handle = await perdure.start(checkout.with_options(instance_id="order-7"), "x")
        await handle.result()
        execution_id = (await handle.info()).execution_id

    said = {record.message: fields_of(record) for record in caplog.records}
    instance = {
        "instance_id": "order-7",
        "execution_id": execution_id,
        "workflow": "checkout",
        "queue": "default",
        "worker": "worker-1",
    }
    assert said["begun"] == instance
    assert said["charging"] == {**instance, "activity": "charge", "attempt": 1}


async def test_a_logger_of_ones_own_is_the_parent_of_all(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tests.shop")
    logging.getLogger("tests.shop.activity").setLevel(logging.WARNING)
    async with Orchestrator(memory, app, logger=logging.getLogger("tests.shop")) as perdure:
        await perdure.run(checkout, "x")
    logging.getLogger("tests.shop.activity").setLevel(logging.NOTSET)

    assert [(record.name, record.message) for record in caplog.records] == [("tests.shop.workflow", "begun")]


async def test_nothing_is_said_again_when_history_is_replayed(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure")
    async with Orchestrator(memory, app, cache_size=0) as perdure:
        await perdure.run(checkout, "x")

    assert [record.message for record in caplog.records].count("begun") == 1


# --- stuck


async def test_e4_stuck_is_said_once_loudly_with_advice_and_once_that_it_goes_on(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure")
    long = checkout.with_options(instance_id="order-7")
    async with Client(memory, app) as client:
        handle = await client.start(long, "x")
        async with Worker(memory, app, limits=Limits(history_events=2)):
            await until_async(lambda: _attempts(handle, 2))
        async with Worker(memory, app):
            await handle.result()

    about = [record for record in caplog.records if "stuck" in record.message]
    assert [record.levelname for record in about] == ["ERROR", "INFO", "WARNING"]
    stuck, still, over = about
    assert stuck.message.startswith(
        "order-7 is stuck and is tried again in 1 s: HistoryTooLong: the history has 2 events"
    )
    assert "Raise `Limits(history_events=…)`" in stuck.message
    assert stuck.exc_info is None
    assert {"stuck": "HistoryTooLong", "stuck_attempts": 1, "workflow": "checkout"}.items() <= fields_of(stuck).items()
    assert still.message.startswith("order-7 is still stuck and is tried again in 2 s: HistoryTooLong")
    assert over.message == "order-7 goes on: it was stuck, 2 times in a row"
    assert fields_of(over)["instance_id"] == "order-7"


async def _attempts(handle: Any, count: int) -> bool:
    stuck = (await handle.info()).stuck
    return stuck is not None and stuck.attempts >= count


async def test_e4_code_that_parts_from_history_is_told_with_its_line(
    memory: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    @workflow(name="checkout")
    async def other(ctx: Context, card: str) -> str:
        await ctx.sleep(1)
        return ""

    async with Client(memory, app) as client:
        handle = await client.start(checkout.with_options(instance_id="order-7"), SECRET)
        async with Worker(memory, app, activity_queues=()):
            await until_async(lambda: _is_begun(handle))
        async with Worker(memory, App(workflows=[other], activities=[charge])):
            await until_async(lambda: _attempts(handle, 1))

    [record] = [record for record in caplog.records if "is stuck" in record.message]
    assert "NonDeterminismError at " in record.message
    assert "test_logs.py:" in record.message
    assert "`perdure replay MODULE:APP --stuck`" in record.message
    assert SECRET in (await memory.read_instance("order-7")).stuck.reason  # type: ignore[union-attr]
    assert SECRET not in caplog.text


async def _is_begun(handle: Any) -> bool:
    info = await handle.info()
    return bool(info.history_length > 1)


async def test_e4_who_lost_five_workers_is_told_by_who_keeps_house(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    store = MemoryBackend(MemoryStore(clock=clock))
    await store.commit(builders.create("order-7"))
    for number in range(4):
        await _die_with_it(store, clock, f"dying-{number}")
        await store.housekeep()
    await _die_with_it(store, clock, "the fifth")
    keeping = asyncio.create_task(keep_house(store, logging.getLogger("tests.worker")))
    await until(lambda: [record for record in caplog.records if record.levelno == logging.ERROR])
    keeping.cancel()

    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("order-7 is stuck and waits for resume. Five workers in a row died")
    assert "`perdure resume order-7`" in record.message
    assert fields_of(record) == {"instance_id": "order-7", "stuck": "WorkersLost"}


async def _die_with_it(store: MemoryBackend, clock: ManualClock, name: str) -> None:
    queues = ("default",)
    worker = await store.start_worker(
        WorkerStart(name=name, workflow_queues=queues, activity_queues=(), lease_seconds=1)
    )
    claim = ClaimTasks(
        worker_key=worker,
        workflow_queues=queues,
        workflow_slots=1,
        workflow_names=frozenset({"checkout"}),
        activity_queues=(),
        activity_slots=0,
        activity_names=frozenset(),
    )
    assert (await store.commit(claim)).workflow_tasks
    clock.advance(2)


# --- secrets


class Card(pydantic.BaseModel):
    number: int


@activity
async def refuse(card: Card) -> str:
    return ""


@activity(name="refuse")
async def refused(card: dict[str, str]) -> str:
    return ""


@activity
async def swallow(card: str) -> object:
    activity_context().heartbeat(card)
    return object()


@activity(retry=RetryPolicy(initial_interval=0.01, max_attempts=2))
async def fail(card: str) -> str:
    raise ValueError("no cover")


told = Signal("told", str)


@workflow
async def careless(ctx: Context, card: str) -> str:
    ctx.publish("card", card)
    await ctx.signal_channel(told).receive()
    for step in (swallow, fail):
        with contextlib.suppress(EncodeError, ValueError):
            await ctx.execute_activity(step, card)
    left_alone = asyncio.create_task(_complain())
    assert not left_alone.done()
    await ctx.sleep(0.001)
    raise RuntimeError("no more")


async def _complain() -> None:
    raise LookupError("nobody awaits this")


@workflow
async def typed(ctx: Context, card: Card) -> str:
    return ""


@workflow(name="typed")
async def older(ctx: Context, card: dict[str, str]) -> str:
    return ""


async def test_no_message_has_what_is_in_payloads(memory: MemoryBackend, caplog: pytest.LogCaptureFixture) -> None:
    """Arguments, results, signals, heartbeats, published values: neither in the text nor in fields nor in stacks."""
    caplog.set_level(logging.DEBUG, "perdure")
    careful = App(workflows=[careless, typed], activities=[refuse, swallow, fail])
    async with Orchestrator(memory, careful) as perdure:
        handle = await perdure.start(careless, SECRET)
        await handle.signal(told, SECRET)
        with pytest.raises(WorkflowFailed):
            await handle.result()
        async with Client(memory) as other:
            with pytest.raises(WorkflowFailed):
                await other.run_activity(refused, {"number": SECRET})
            doesnt_fit = await other.start(older, {"number": SECRET})
            await until_async(lambda: _attempts(doesnt_fit, 2))

    written = [_all_of(record) for record in caplog.records if record.name.startswith("perdure")]
    assert [record.message for record in caplog.records if "failed for good" in record.message][2:]
    assert any("DecodeError" in line for line in written)
    assert any("is still stuck" in line for line in written)
    assert [line for line in written if SECRET in line] == []
    stuck = (await memory.read_instance(doesnt_fit.instance_id)).stuck
    assert stuck is not None
    assert SECRET in stuck.reason


def _all_of(record: logging.LogRecord) -> str:
    return logging.Formatter().format(record) + json.dumps(record.__dict__, default=str)
