"""Payloads over the threshold, from the caller's value to the caller's value, on each kind of store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure import (
    App,
    Client,
    Context,
    DecodeError,
    Encryption,
    PayloadTooLarge,
    QueryFailed,
    RetryPolicy,
    Signal,
    Worker,
    activity,
    activity_context,
    workflow,
)
from perdure.backends.memory import MemoryBackend, MemoryStore
from perdure.backends.protocol import Backend
from perdure.model.event import ActivityScheduled, ExecutionCompleted
from perdure.model.reference import is_reference, references_in

FIFTY_MB = 50 * 1000 * 1000

more = Signal("more", str)


@activity
async def produce(size: int) -> str:
    return "x" * size


@workflow
async def report(ctx: Context, size: int) -> str:
    return await ctx.execute_activity(produce, size)


async def test_a_result_of_50_mb_goes_through_and_history_stays_small(store: Backend) -> None:
    """A 50 MB result goes through on every store, and who reads the history doesn't read it."""
    app = App(workflows=[report], activities=[produce])
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(report, FIFTY_MB)
        result = await handle.result()
        history = [event async for event in handle.history()]
        info = await handle.info()
        with_blobs = [event async for event in handle.history(blobs=True)]
    assert result == "x" * FIFTY_MB
    assert info.history_bytes < 1000
    assert sum(len(msgspec.msgpack.encode(event)) for event in history) < 2000
    *_, end = with_blobs
    assert isinstance(end.event, ExecutionCompleted)
    assert end.event.result == b'"' + b"x" * FIFTY_MB + b'"'


# --- every kind of payload, each of them kept apart


@activity(retry=RetryPolicy(max_attempts=2, initial_interval=timedelta(milliseconds=10)))
async def stubborn(text: str) -> str:
    context = activity_context()
    before = context.heartbeat_details(str)
    if before is None:
        context.heartbeat(f"{text} so far")
        raise ValueError("once")
    return before


@activity
def in_thread(text: str) -> str:
    return text.upper()


@workflow
async def child(ctx: Context, text: str) -> str:
    return await ctx.signal_channel(more).receive() + text


@workflow
async def everything(ctx: Context, text: str, round_: int) -> list[str]:
    said: list[str] = []

    async def add(value: str) -> str:
        said.append(value)
        return value * 2

    ctx.on_query(lambda: said, name="said")
    ctx.on_update(add, name="add")
    beaten = await ctx.execute_activity(stubborn, text)
    shouted = await ctx.execute_activity(in_thread, text)
    effect = await ctx.side_effect(lambda: f"{text} by chance")
    born = ctx.execute_sub_workflow(child, text)
    await born.signal(more, f"{text} for the child")
    signalled = await ctx.signal_channel(more).receive()
    ctx.publish("text", text)
    await ctx.wait_until(lambda: bool(said))
    if round_:
        ctx.continue_as_new(everything, text, round_ - 1)
    return [beaten, shouted, effect, await born, signalled, *said]


APP = App(workflows=[everything, child], activities=[stubborn, in_thread])


def light_url(store_url: str) -> str:
    return f"{store_url}{'&' if '?' in store_url else '?'}blob_threshold=1"


@pytest.mark.parametrize("cache_size", [1000, 0])
async def test_every_kind_of_payload_may_be_kept_apart(store_url: str, cache_size: int) -> None:
    """Each payload is a blob here; with an empty cache each step replays them."""
    url = light_url(store_url)
    async with Client(url, APP) as client, Worker(url, APP, cache_size=cache_size):
        handle = await client.start(everything, "text", 1)
        for _ in range(2):
            await handle.signal(more, "a signal")
            while True:
                info = await handle.info()
                if await handle.read("text", str, None) == "text":
                    break
                await asyncio.sleep(0.02)
            assert await handle.update("add", "an update") == "an updatean update"
            if info.execution_number == 1:
                while (await handle.info()).execution_number == 1:
                    await asyncio.sleep(0.02)
        result = await handle.result()
        assert result == [
            "text so far", "TEXT", "text by chance", "text for the childtext", "a signal", "an update",
        ]  # fmt: skip
        assert await handle.query("said") == ["an update"]
        plain = [event async for event in handle.history()]
        assert sum(len(references_in(each.event)) for each in plain) >= 10
        assert [len(references_in(each.event)) async for each in handle.history(blobs=True)] == [0] * len(plain)


async def test_processes_may_have_different_thresholds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    app = App(workflows=[report], activities=[produce])
    async with Client(f"{url}?blob_threshold=1", app) as client, Worker(f"{url}?blob_threshold=1", app):
        early = await client.start(report, 10)
        assert await early.result() == "x" * 10
    async with Client(f"{url}?blob_threshold=1000000", app) as client, Worker(url, app):
        late = await client.start(report, 10)
        assert await late.result() == await client.handle(early.instance_id, workflow=report).result()
        assert [references_in(each.event) async for each in late.history()] == [()] * 4


# --- what replay reads


class Counting(MemoryBackend):
    """Notes which blobs are read."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(blob_threshold=100))
        self.read: list[bytes] = []

    async def read_blob(self, blob_id: bytes) -> bytes:
        self.read.append(blob_id)
        return await super().read_blob(blob_id)


@activity
async def measure(text: str) -> int:
    return len(text)


@workflow
async def long_inputs(ctx: Context, count: int) -> int:
    total = 0
    for number in range(count):
        total += await ctx.execute_activity(measure, "x" * 1000 + str(number))
    await ctx.signal_channel(more).receive()
    return total


async def test_replay_reads_no_blob_of_an_input() -> None:
    """Inputs are compared by their digests: a long history with large ones is replayed without reading any."""
    app = App(workflows=[long_inputs], activities=[measure])
    store = Counting()
    async with Client(store, app) as client:
        async with Worker(store, app):
            handle = await client.start(long_inputs, 50)
            while (await handle.info()).history_length < 101:
                await asyncio.sleep(0.01)
        store.read.clear()
        await handle.signal(more, "go on")
        async with Worker(store, app):
            assert await handle.result() == sum(1000 + len(str(number)) for number in range(50))
    assert store.read == []


@workflow
async def waits_for_one(ctx: Context) -> str:
    text = await ctx.execute_activity(produce, 1000)
    await ctx.signal_channel(more).receive()
    return text[:1]


async def test_replay_reads_what_workflow_code_awaited() -> None:
    app = App(workflows=[waits_for_one], activities=[produce])
    store = Counting()
    async with Client(store, app) as client:
        async with Worker(store, app):
            handle = await client.start(waits_for_one)
            while (await handle.info()).history_length < 3:
                await asyncio.sleep(0.01)
        store.read.clear()
        await handle.signal(more, "go on")
        async with Worker(store, app):
            assert await handle.result() == "x"
    assert len(store.read) == 1


@dataclass
class Before:
    text: str


@dataclass
class After:
    text: str
    colour: str = "red"


def _app_with(kind: type[Any]) -> App:
    async def paint(what: Any) -> str:
        return "painted"

    paint.__annotations__["what"] = kind
    painting = activity(name="paint")(paint)

    async def house(ctx: Context) -> str:
        painted: str = await ctx.execute_activity(painting, kind("x" * 1000))
        await ctx.signal_channel(more).receive()
        return painted

    return App(workflows=[workflow(name="house")(house)], activities=[painting])


async def test_e2_an_input_with_another_digest_is_read_and_compared_with_todays_types() -> None:
    """A new field with a default sticks nobody, though the recorded input is kept apart."""
    store = Counting()
    async with Client(store, before := _app_with(Before)) as client:
        async with Worker(store, before):
            handle = await client.start(before.workflows["house"])
            while (await handle.info()).history_length < 3:
                await asyncio.sleep(0.01)
        store.read.clear()
        await handle.signal(more, "go on")
        async with Worker(store, _app_with(After)):
            assert await handle.result() == "painted"
    assert len(store.read) == 1


# --- limits


@workflow
async def answers_much(ctx: Context) -> None:
    ctx.on_query(lambda: "x" * 3_000_000, name="much")
    await ctx.signal_channel(more).receive()


async def test_a_query_has_a_limit_of_its_own() -> None:
    """Its arguments and its answer pass through the store, and are kept nowhere."""
    app = App(workflows=[answers_much])
    store = MemoryBackend()
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(answers_much)
        with pytest.raises(PayloadTooLarge):
            await handle.query("much", "x" * 3_000_000)
        with pytest.raises(QueryFailed, match="3,000,002 bytes, 2,097,152 are allowed"):
            await handle.query("much")


# --- codecs


OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def _encrypting(keys: dict[str, bytes], current: str) -> App:
    return App(workflows=[keeps_secrets], activities=[produce], codecs=[Encryption(keys, current)])


@workflow
async def keeps_secrets(ctx: Context, size: int) -> list[str]:
    first = await ctx.execute_activity(produce, size)
    said = await ctx.signal_channel(more).receive()
    second = await ctx.execute_activity(produce, size)
    return [first, said, second]


@pytest.mark.parametrize("size", [10, 1000])
async def test_a_key_is_rotated_in_the_middle_of_a_running_workflow(size: int) -> None:
    """The newest key writes, the old one still reads; blobs are encrypted as everything else."""
    store = Counting()
    before, after = _encrypting({"2025": OLD}, "2025"), _encrypting({"2025": OLD, "2026": NEW}, "2026")
    async with Client(store, before) as client, Worker(store, before):
        handle = await client.start(keeps_secrets, size)
        while (await handle.info()).history_length < 3:
            await asyncio.sleep(0.01)
    async with Client(store, after) as client, Worker(store, after):
        handle = client.handle(handle.instance_id, workflow=keeps_secrets)
        await handle.signal(more, "rotated")
        assert await handle.result() == ["x" * size, "rotated", "x" * size]
        payloads = [
            getattr(each.event, name)
            async for each in handle.history(blobs=True)
            for name in ("arguments", "result", "payload")
            if hasattr(each.event, name)
        ]
    assert [b"2025" in payload for payload in payloads] == [True, True, True, False, False, False, False]
    assert all(b"2025" in payload or b"2026" in payload for payload in payloads)
    assert all(b"xxx" not in payload for payload in payloads)


async def test_a_missing_key_is_named() -> None:
    store = MemoryBackend(MemoryStore())
    old, new = _encrypting({"2025": OLD}, "2025"), _encrypting({"2026": NEW}, "2026")
    async with Client(store, old) as client, Worker(store, old):
        handle = await client.start(keeps_secrets, 5)
        await handle.signal(more, "said")
        await handle.result()
    async with Client(store, new) as client:
        with pytest.raises(DecodeError, match="the key '2025' isn't configured here"):
            await client.handle(handle.instance_id, workflow=keeps_secrets).result()


async def test_a_stuck_instance_says_which_key_is_missing_and_goes_on_with_it() -> None:
    store = MemoryBackend(MemoryStore())
    old, new = _encrypting({"2025": OLD}, "2025"), _encrypting({"2026": NEW}, "2026")
    both = _encrypting({"2025": OLD, "2026": NEW}, "2026")
    async with Client(store, old) as client, Worker(store, old):
        handle = await client.start(keeps_secrets, 5)
        while (await handle.info()).history_length < 3:
            await asyncio.sleep(0.01)
    async with Client(store, new) as client, Worker(store, new):
        await client.signal(handle.instance_id, more, "said")
        while (stuck := (await client.info(handle.instance_id)).stuck) is None:
            await asyncio.sleep(0.01)
        assert "the key '2025' isn't configured here" in stuck.reason
    async with Client(store, both) as client, Worker(store, both):
        await client.resume(handle.instance_id)
        assert await client.handle(handle.instance_id, workflow=keeps_secrets).result() == ["xxxxx", "said", "xxxxx"]


async def test_the_inputs_of_a_large_start_are_apart_for_the_activity_too() -> None:
    store = Counting()
    app = App(workflows=[long_inputs], activities=[measure])
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(long_inputs, 1)
        await handle.signal(more, "go on")
        await handle.result()
        scheduled = [each.event async for each in handle.history() if isinstance(each.event, ActivityScheduled)]
    assert [is_reference(event.arguments) for event in scheduled] == [True]
