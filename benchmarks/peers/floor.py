"""A measuring stick: the least work that could still be called durable. It is no engine.

A workflow is a coroutine on a loop of its own, kept in memory; what it asks for and what it was told are events, of which
each step writes one row. There are two commits for a workflow with one activity: it is created together with its first
step, and an activity's result goes in with the step that follows from it. Children start with their parent's step and end
with it. A thread writes; while it commits, what comes meanwhile becomes the next commit. An activity runs, and a result is
given out, only once what led to it is committed.

One step after the other pays twice for the thread's turn, which the least possible would not: whoever commits on the event
loop, and blocks it, can be faster there. What an engine needs and this has not: reading any of it back, retries, timers,
signals, leases, cancelling, failures at all.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec

from benchmarks.peers import floor_servers, measure
from benchmarks.peers.floor_servers import ServerStore
from benchmarks.peers.floor_store import (
    COMPLETE_INSTANCE,
    DELETE_TASK,
    INSERT_EVENTS,
    INSERT_INSTANCE,
    INSERT_TASK,
    LARGEST_COMMIT,
    Step,
    Store,
)
from benchmarks.peers.floor_workflow import Activity, Ended, Instance, Workflow, decode
from benchmarks.peers.measure import Order, Stored

FILE = "floor.db"
LEASE_MS = 30_000
IDS_OF_A_PART = 40
"""In bits: two processes on one store must not take each other's ids."""


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    kind: str
    at_ms: int
    number: int
    payload: bytes


encode = msgspec.json.Encoder().encode
encode_events = msgspec.msgpack.Encoder().encode
decode_events = msgspec.msgpack.Decoder(list[Event]).decode


class Floor:
    """Steps of workflows, and activities between them."""

    def __init__(self, store: Store | ServerStore, *, part: str = "") -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1 + (int(part.removeprefix("w") or 0) << IDS_OF_A_PART))
        self._activities: set[asyncio.Task[Any]] = set()

    async def run(self, workflow: str, x: int) -> int:
        done: asyncio.Future[bytes] = self._loop.create_future()
        # A task must not be stepped within another one: the workflow is begun by a callback.
        self._loop.call_soon(self._start, WORKFLOWS[workflow], measure.DEPTH if workflow == "tree" else x, done)
        return int(decode(await done))

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        return await measure.closed_loop(self.run, workflow, xs, in_flight)

    async def start(self, x: int) -> None:
        created: asyncio.Future[None] = self._loop.create_future()
        step = Step()
        instance = self._create(step, one_activity, x, lambda step, result: None)
        step.rows.append((INSERT_EVENTS, (instance.id, 0, encode_events([Event("started", now_ms(), 0, encode(x))]))))
        step.afterwards.append(lambda: created.set_result(None))
        self._store.submit(step)
        await created

    def settings(self) -> dict[str, Any]:
        return {"msgspec": version("msgspec"), "largest_commit": LARGEST_COMMIT, **self._store.settings}

    def _start(self, workflow: Workflow, x: int, done: asyncio.Future[bytes]) -> None:
        step = Step()
        self._begin(step, workflow, x, lambda step, result: step.afterwards.append(lambda: done.set_result(result)))
        self._store.submit(step)

    def _create(self, step: Step, workflow: Workflow, x: int, ended: Ended) -> Instance:
        instance = Instance(next(self._ids), workflow, x, ended)
        now, name = now_ms(), workflow.__name__
        row = (instance.id, f"{name}-{instance.id:08d}", name, encode(x), now, now)
        step.rows.append((INSERT_INSTANCE, row))
        return instance

    def _begin(self, step: Step, workflow: Workflow, x: int, ended: Ended) -> None:
        instance = self._create(step, workflow, x, ended)
        instance.begin()
        self._advance(step, instance, Event("started", now_ms(), 0, encode(x)))

    def _resolve(self, step: Step, instance: Instance, number: int, result: bytes) -> None:
        instance.resolve(number, result)
        self._advance(step, instance, Event("completed", now_ms(), number, result))

    def _advance(self, step: Step, instance: Instance, cause: Event) -> None:
        """Write down what the workflow was told and what it asked for, until it waits again or has ended."""
        events, now = [cause], now_ms()
        commands, instance.commands = instance.commands, []
        for number, kind, function, x in commands:
            payload = encode(x)
            events.append(Event(kind, now, number, payload))
            if kind == "activity":
                self._schedule(step, instance, number, function, payload)
            else:
                self._begin(step, function, x, partial(self._child_ended, instance, number))
        if instance.task is not None and instance.task.done():
            result = encode(instance.task.result())
            events.append(Event("ended", now, 0, result))
            step.rows.append((COMPLETE_INSTANCE, (result, now, instance.id)))
            instance.ended(step, result)
        step.rows.append((INSERT_EVENTS, (instance.id, instance.seq, encode_events(events))))
        instance.seq += len(events)

    def _child_ended(self, parent: Instance, number: int, step: Step, result: bytes) -> None:
        self._resolve(step, parent, number, result)

    def _schedule(self, step: Step, instance: Instance, number: int, function: Activity, payload: bytes) -> None:
        task_id = next(self._ids)
        step.rows.append((INSERT_TASK, (task_id, instance.id, now_ms() + LEASE_MS, payload)))
        step.afterwards.append(partial(self._run_activity, instance, number, task_id, function, payload))

    def _run_activity(self, instance: Instance, number: int, task_id: int, function: Activity, payload: bytes) -> None:
        task: asyncio.Task[Any] = self._loop.create_task(function(decode(payload)))
        self._activities.add(task)
        task.add_done_callback(partial(self._activity_ended, instance, number, task_id))

    def _activity_ended(self, instance: Instance, number: int, task_id: int, task: asyncio.Task[Any]) -> None:
        self._activities.discard(task)
        step = Step()
        step.rows.append((DELETE_TASK, (task_id,)))
        self._resolve(step, instance, number, encode(task.result()))
        self._store.submit(step)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def double(x: int) -> int:
    return x * 2


async def payload(_: None) -> str:
    return measure.PAYLOAD


async def one_activity(me: Instance, x: int) -> int:
    return int(await me.activity(double, x)) + 1


async def ten_in_a_row(me: Instance, x: int) -> int:
    return sum([await me.activity(double, x + step) for step in range(measure.STEPS_OF_TEN)])


async def steps_in_a_row(me: Instance, steps: int) -> int:
    return sum([await me.activity(double, step) for step in range(steps)])


async def fan_out(me: Instance, width: int) -> int:
    return sum([await each for each in [me.activity(double, x) for x in range(width)]])


async def leaf(me: Instance, _: int) -> int:
    return sum([len(await each) for each in [me.activity(payload, None) for _ in range(2)]])


async def tree(me: Instance, depth: int) -> int:
    return sum([await each for each in [me.child(tree if depth else leaf, depth - 1) for _ in range(2)]])


WORKFLOWS: dict[str, Workflow] = {
    each.__name__: each for each in (one_activity, ten_in_a_row, steps_in_a_row, fan_out, tree)
}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Floor]:
    if order.store:
        async with floor_servers.opened(order.store) as store:
            yield Floor(store, part=order.part)
    else:
        async with opened_at(str(order.folder / FILE)) as floor:
            yield floor


@asynccontextmanager
async def opened_at(path: str) -> AsyncIterator[Floor]:
    store = Store(path)
    try:
        yield Floor(store)
    finally:
        store.close()


def stored(order: Order) -> Stored:
    if order.store:
        return asyncio.run(floor_servers.stored(order.store))
    return measure.stored_in(
        order.folder / FILE, "select count(*), count(*) filter (where result is not null) from instances"
    )


def main(words: list[str]) -> None:
    measure.main(opened, stored, words)
