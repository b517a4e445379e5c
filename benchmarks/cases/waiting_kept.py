"""Workflows that wait and stay in memory: what each of them weighs, and what the garbage collector makes of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Case, Measured, Target, at_least, at_most
from benchmarks.cases.signal_latency import expected
from benchmarks.machine import rss_megabytes
from benchmarks.measuring import keep_in_flight, measured, stretch, until_all_wait
from benchmarks.verification import check
from benchmarks.workload import app, go_on, wait_for_signal
from perdure import Client, Orchestrator


async def run(store: str, *, count: int, in_flight: int) -> Measured:
    """Start `count` workflows that wait, look at the process, then signal each and wait for its end."""
    async with Orchestrator(store, app, cache_size=count) as perdure:
        await perdure.start(wait_for_signal.with_options(instance_id="waits-0"), 0)
        await until_all_wait(perdure)
        before, tasks, threads = rss_megabytes(), len(asyncio.all_tasks()), threading.active_count()

        async def start(x: int) -> None:
            await perdure.start(wait_for_signal.with_options(instance_id=f"waits-{x + 1}"), x + 1)

        async def signal(x: int) -> None:
            handle = perdure.handle(f"waits-{x}", wait_for_signal)
            await handle.signal(go_on, 1)
            await handle.wait()

        await keep_in_flight(count - 1, in_flight, start)
        await until_all_wait(perdure)
        rss = rss_megabytes()
        with collector_pauses() as full:
            gc.collect()
        figures = {
            "rss_mb": rss,
            "gc_full_ms": sum(full),
            "kb_per_workflow": (rss - before) * 1024 / count,
            "tasks_per_workflow": (len(asyncio.all_tasks()) - tasks) / count,
            "threads_more": float(threading.active_count() - threads),
        }
        with collector_pauses() as pauses, stretch(perdure) as took:
            await keep_in_flight(count, in_flight, signal)
        figures |= {"gc_longest_ms": max(pauses, default=0.0), "gc_share": sum(pauses) / took.seconds / 1000}
        return await measured(perdure, took.per_unit(count) | figures, in_flight=in_flight)


@contextmanager
def collector_pauses() -> Iterator[list[float]]:
    """How long each collection meanwhile has taken, in milliseconds."""
    pauses: list[float] = []
    began_at = 0.0

    def note(phase: str, _: dict[str, Any]) -> None:
        nonlocal began_at
        if phase == "start":
            began_at = time.perf_counter()
        else:
            pauses.append((time.perf_counter() - began_at) * 1000)

    gc.callbacks.append(note)
    try:
        yield pauses
    finally:
        gc.callbacks.remove(note)


async def verify(store: str, *, count: int, in_flight: int) -> dict[str, int]:
    """All of them, each with its signal."""
    async with Client(store, app) as client:
        return await check(client, expected(count))


CASE = Case(
    name="waiting_kept",
    summary="20,000 waiting workflows, all in memory; then a signal to each",
    run=run,
    verify=verify,
    measures=(
        at_most("rss_mb", "MB", Target(bound=300)),
        at_most("kb_per_workflow", "kB"),
        at_most("tasks_per_workflow", "tasks", Target(bound=0.001), Target(bound=0.001, store="memory")),
        at_least("rate", "signals/s"),
        at_most("gc_full_ms", "ms"),
        at_most("gc_longest_ms", "ms"),
        at_most("gc_share", "of the time"),
    ),
    scale={"count": 20_000, "in_flight": 200},
    quick={"count": 60, "in_flight": 10},
    rounds=1,
)
