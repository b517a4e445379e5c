"""Many workflows that wait, none in memory: the process that started them, a start-up beside them, a signal to each.

Each of the three is a process of its own: what one has left in its memory must not flatter or burden the next.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import msgspec

from benchmarks import fresh
from benchmarks.case import SHARED_STORES, Case, Measured, Target, at_least, at_most
from benchmarks.cases.one_activity import expected as expected_first
from benchmarks.cases.signal_latency import expected
from benchmarks.machine import rss_megabytes
from benchmarks.measuring import keep_in_flight, measured, stretch, until_all_wait
from benchmarks.verification import check
from benchmarks.workload import app, go_on, one_activity, wait_for_signal
from perdure import Client, Orchestrator


async def run(store: str, *, count: int, in_flight: int) -> Measured:
    """The three, one after the other, on one store."""
    filled = await fresh.call(fill, store=store, count=count, in_flight=in_flight)
    begun = await fresh.call(start_up, store=store, spawned_at=time.time())
    signalled = await fresh.call(signal_each, store=store, count=count, in_flight=in_flight)
    parts = [part["figures"] for part in (filled, begun, signalled)]
    peak = max(part["peak_rss_mb"] for part in parts)
    figures = parts[0] | parts[1] | parts[2] | {"peak_rss_mb": peak}
    return Measured(figures=figures, settings=filled["settings"])


async def fill(store: str, count: int, in_flight: int) -> dict[str, Any]:
    """Start them under a worker that keeps no execution, and look at the process when all wait."""
    async with Orchestrator(store, app, cache_size=0) as perdure:
        before, tasks, threads = rss_megabytes(), len(asyncio.all_tasks()), threading.active_count()

        async def start(x: int) -> None:
            await perdure.start(wait_for_signal.with_options(instance_id=f"waits-{x}"), x)

        with stretch(perdure) as took:
            await keep_in_flight(count, in_flight, start)
            await until_all_wait(perdure, evicted=True)
        rss = rss_megabytes()
        figures = {
            "rss_mb": rss,
            "bytes_per_workflow": (rss - before) * 1024 * 1024 / count,
            "tasks_more": float(len(asyncio.all_tasks()) - tasks),
            "threads_more": float(threading.active_count() - threads),
            "fill_rate": count / took.seconds,
        }
        return _plain(await measured(perdure, figures, in_flight=in_flight))


async def start_up(store: str, spawned_at: float) -> dict[str, Any]:
    """From nothing to the end of a new workflow, while all the others wait: Python's own start is in it."""
    began_at = time.time()
    async with Orchestrator(store, app) as perdure:
        await perdure.run(one_activity.with_options(instance_id="first-0"), 0)
        ended_at = time.time()
        figures = {
            "start_up_s": ended_at - spawned_at,
            "without_python_s": ended_at - began_at,
            "start_up_rss_mb": rss_megabytes(),
        }
        return _plain(await measured(perdure, figures))


async def signal_each(store: str, count: int, in_flight: int) -> dict[str, Any]:
    """A signal to each, and its end; a worker with the default cache has to load every one."""
    async with Orchestrator(store, app) as perdure:

        async def signal(x: int) -> None:
            handle = perdure.handle(f"waits-{x}", wait_for_signal)
            await handle.signal(go_on, 1)
            await handle.wait()

        with stretch(perdure) as took:
            await keep_in_flight(count, in_flight, signal)
        return _plain(await measured(perdure, took.per_unit(count) | {"signalling_rss_mb": rss_megabytes()}))


def _plain(measured: Measured) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(measured)
    return plain


async def verify(store: str, *, count: int, in_flight: int) -> dict[str, int]:
    """All of them, each with its signal, and the one that was first after the start-up."""
    async with Client(store, app) as client:
        return await check(client, expected(count), expected_first("first-", 1))


CASE = Case(
    name="waiting_evicted",
    summary="100,000 waiting workflows, none in memory; a start-up beside them; then a signal to each",
    run=run,
    verify=verify,
    measures=(
        at_most("rss_mb", "MB", Target(bound=150)),
        at_most("bytes_per_workflow", "bytes"),
        at_most("start_up_s", "s", Target(bound=1.0)),
        at_least("fill_rate", "workflows/s"),
        at_least("rate", "signals/s"),
        at_most("tasks_more", "tasks", Target(bound=20)),
        at_most("threads_more", "threads", Target(bound=20)),
    ),
    scale={"count": 100_000, "in_flight": 200},
    quick={"count": 60, "in_flight": 10},
    remote_scale={"count": 20_000},
    stores=SHARED_STORES,  # in memory the store itself is in the process: waiting_kept has that
    rounds=1,
)
