"""Time, CPU and commits of a stretch of work, and work that is kept in flight."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.case import Measured
from benchmarks.machine import commits_of, rss_megabytes, store_settings
from perdure import Client, Orchestrator

TIME_LIMIT_SECONDS = 900.0
"""A benchmark that hangs says so."""


class Stretch:
    """What a stretch of work took; complete after its `with`. The CPU is that of the process with all its threads."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.commits: int | None = None

    def per_unit(self, units: int) -> dict[str, float]:
        """The figures that every case of throughput has."""
        figures = {
            "rate": units / self.seconds,
            "seconds": self.seconds,
            "cpu_us_per_unit": self.cpu_seconds / units * 1e6,
        }
        if self.commits is not None:
            figures["commits_per_unit"] = self.commits / units
        return figures


@contextmanager
def stretch(client: Client) -> Iterator[Stretch]:
    """Measure what is done inside."""
    measured, commits = Stretch(), commits_of(client.backend)
    cpu, began = time.process_time(), time.perf_counter()
    yield measured
    measured.seconds, measured.cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    if commits is not None:
        measured.commits = (commits_of(client.backend) or 0) - commits


async def keep_in_flight(count: int, in_flight: int, call: Callable[[int], Awaitable[None]]) -> list[float]:
    """Call with 0 to `count` - 1, so many at a time; how long each took, in seconds."""
    numbers, latencies = iter(range(count)), list[float]()

    async def caller() -> None:
        for number in numbers:
            began = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - began)

    async with asyncio.timeout(TIME_LIMIT_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(caller())
    return latencies


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """The middle and the tail, in milliseconds."""
    ordered = sorted(latencies)
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
    }


async def measured(client: Client, figures: dict[str, float], **settings: Any) -> Measured:
    """Figures, with the peak of memory so far and the settings that they were made under."""
    if isinstance(client, Orchestrator):
        options = client.worker.options
        settings = {
            "max_workflow_tasks": options.max_workflow_tasks,
            "max_activities": options.max_activities,
            "execution_cache": options.cache_size,
        } | settings
    figures = {"peak_rss_mb": rss_megabytes("VmHWM")} | figures
    return Measured(figures=figures, settings=await store_settings(client.backend) | settings)


def children_cpu_seconds() -> float:
    """The CPU of the child processes that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def until(condition: Callable[[], Awaitable[bool]], *, every_seconds: float = 0.02) -> None:
    """Look until it is so."""
    async with asyncio.timeout(TIME_LIMIT_SECONDS):
        while not await condition():  # noqa: ASYNC110 - a store has no event for what is asked here
            await asyncio.sleep(every_seconds)


async def until_all_wait(client: Client, *, evicted: bool = False) -> None:
    """Return when every instance that runs has come to its wait; if `evicted`, when no worker holds one any more."""

    async def is_calm() -> bool:
        stats = await client.stats()
        holds = any(worker.instances for worker in stats.workers if worker.is_alive)
        return not any(queue.workflow_tasks for queue in stats.queues) and not (evicted and holds)

    await until(is_calm)
