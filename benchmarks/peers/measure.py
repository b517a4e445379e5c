"""What every peer is asked, how it is timed and how it is checked. Standard library only: it runs in each peer's environment.

A peer's script gives an `Engine` to `main`, which times one case and prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

STEPS_OF_TEN = 10
DEPTH = 2  # of the workflows between the root of a tree and its leaves
WORKFLOWS_OF_A_TREE = 15  # a root, 2 + 4 between, 8 leaves: depth 2, two each
PAYLOAD = "x" * 100
BYTES_OF_A_TREE = 8 * 2 * len(PAYLOAD)  # each of the 8 leaves runs 2 activities
PRAGMAS = ("journal_mode", "synchronous")
REST_SECONDS = 0.01  # before each workflow that must find the engine idle
WARM_UP = 3  # lazy imports and first connections are no part of a rate
READY = "ready"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run that is asked of a peer."""

    case: str
    count: int
    in_flight: int
    folder: Path
    store: str = ""
    """The URL of an empty store on a server; without one it is a file in the folder, or memory."""
    part: str = ""
    """The name of this process, if another one works on the same store."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a fresh connection finds after the run."""

    workflows: int
    completed: int


class Engine(Protocol):
    """A peer while it runs. A workflow is named by its case; the argument is its number, or how many steps it has."""

    async def run(self, workflow: str, x: int) -> int:
        """Start a workflow and wait for its result."""

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        """Run many, so many at a time; results in the order of `xs`. `closed_loop` does it for most."""

    async def start(self, x: int) -> None:
        """Create a `one_activity` durably, and leave it."""

    def settings(self) -> dict[str, Any]:
        """Versions, pragmas as read back, sizes of pools."""


# Gives the engine with a fresh store in the folder. For `start_only` its workers must not take anything.
Open = Callable[[Order], AbstractAsyncContextManager[Engine]]
# Looks through a fresh connection, once the engine is closed; None if there is no file.
Look = Callable[[Order], Stored | None]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A case done: how much of `unit` in how many seconds, and the results to check."""

    seconds: float
    done: int
    unit: str
    results: list[int]
    expected: list[int]
    workflows: int
    latencies: list[float] = field(default_factory=list)
    began_at: float = 0.0


async def closed_loop(
    run: Callable[[str, int], Awaitable[int]], workflow: str, xs: Iterable[int], in_flight: int
) -> list[int]:
    """Callers that each start the next workflow when their last one has ended."""
    numbers = list(xs)
    results = [0] * len(numbers)
    left = iter(enumerate(numbers))

    async def caller() -> None:
        for place, x in left:
            results[place] = await run(workflow, x)

    async with asyncio.TaskGroup() as callers:
        for _ in range(min(in_flight, len(numbers))):
            callers.create_task(caller())
    return results


def result_of(workflow: str, x: int) -> int:
    """What a workflow must return."""
    return {
        "one_activity": 2 * x + 1,
        "ten_in_a_row": STEPS_OF_TEN * (STEPS_OF_TEN - 1) + 2 * STEPS_OF_TEN * x,
        "steps_in_a_row": x * (x - 1),
        "fan_out": x * (x - 1),
        "tree": BYTES_OF_A_TREE,
    }[workflow]


async def time_many(engine: Engine, order: Order, unit: str = "workflows", size: int = 1) -> Timing:
    """`count` workflows of the case; `size` is how many each of them is, with its children."""
    xs = range(order.count)
    if order.part:
        await until_all_are_ready()
    began_at, began = time.time(), time.perf_counter()
    results = await engine.run_all(order.case, xs, order.in_flight)
    seconds = time.perf_counter() - began
    return Timing(
        seconds=seconds,
        done=order.count * size,
        unit=unit,
        results=results,
        expected=[result_of(order.case, x) for x in xs],
        workflows=order.count * size,
        began_at=began_at,
    )


async def until_all_are_ready() -> None:
    """Say so, and wait for a line: two_processes.py speaks to all of them."""
    print(READY, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def time_one(engine: Engine, order: Order, unit: str) -> Timing:
    """One workflow with `count` activities."""
    began = time.perf_counter()
    result = await engine.run(order.case, order.count)
    return Timing(
        seconds=time.perf_counter() - began,
        done=order.count,
        unit=unit,
        results=[result],
        expected=[result_of(order.case, order.count)],
        workflows=1,
    )


async def time_idle(engine: Engine, order: Order) -> Timing:
    """One workflow at a time in an idle engine."""
    results, latencies = [], []
    for x in range(order.count):
        await asyncio.sleep(REST_SECONDS)
        began = time.perf_counter()
        results.append(await engine.run("one_activity", x))
        latencies.append(time.perf_counter() - began)
    return Timing(
        seconds=sum(latencies),
        done=order.count,
        unit="workflows",
        results=results,
        expected=[result_of("one_activity", x) for x in range(order.count)],
        workflows=order.count,
        latencies=sorted(latencies),
    )


async def time_starts(engine: Engine, order: Order) -> Timing:
    """Workflows are created and left."""

    async def start(workflow: str, x: int) -> int:
        await engine.start(x)
        return x

    began = time.perf_counter()
    results = await closed_loop(start, order.case, range(order.count), order.in_flight)
    return Timing(
        seconds=time.perf_counter() - began,
        done=order.count,
        unit="workflows",
        results=results,
        expected=list(range(order.count)),
        workflows=order.count,
    )


async def time_case(engine: Engine, order: Order) -> Timing:
    """Time the case that is ordered."""
    if order.case == "start_only":
        return await time_starts(engine, order)
    await engine.run_all("one_activity", range(WARM_UP), 1)
    match order.case:
        case "one_activity" | "ten_in_a_row":
            return await time_many(engine, order)
        case "steps_in_a_row":
            return await time_one(engine, order, "steps")
        case "fan_out":
            return await time_one(engine, order, "activities")
        case "tree":
            return await time_many(engine, order, size=WORKFLOWS_OF_A_TREE)
        case "idle_latency":
            return await time_idle(engine, order)
        case unknown:
            raise SystemExit(f"there is no case {unknown!r}")


def problems_of(order: Order, timing: Timing, stored: Stored | None) -> list[str]:
    """What is wrong with a run; nothing, if all is well."""
    wrong = [
        f"workflow {place} returned {got}, not {expected}"
        for place, (got, expected) in enumerate(zip(timing.results, timing.expected, strict=True))
        if got != expected
    ][:3]
    if stored is None:
        return wrong
    is_left = order.case == "start_only"
    workflows = timing.workflows + (0 if is_left else WARM_UP)
    completed = 0 if is_left else workflows
    if stored != Stored(workflows=workflows, completed=completed):
        wrong.append(f"the store has {stored}, not {workflows} of which {completed} completed")
    return wrong


def percentile_ms(latencies: list[float], share: float) -> float:
    """Of sorted seconds."""
    return round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000, 3)


def figures(order: Order, timing: Timing, stored: Stored | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a run."""
    problems = problems_of(order, timing, stored)
    speed: dict[str, float] = (
        {"p50_ms": percentile_ms(timing.latencies, 0.5), "p99_ms": percentile_ms(timing.latencies, 0.99)}
        if timing.latencies
        else {"rate": round(timing.done / timing.seconds, 1)}
    )
    return {
        **speed,
        "unit": "ms" if timing.latencies else f"{timing.unit}/s",
        "seconds": round(timing.seconds, 3),
        "began_at": timing.began_at,
        "count": order.count,
        "verified": not problems,
        "problems": problems,
        "settings": {"python": platform.python_version(), "in_flight": order.in_flight, **settings},
    }


def measure(opened: Open, stored: Look, order: Order) -> dict[str, Any]:
    """Run one case and check it. Of trees, all roots are in flight at once."""
    if order.case == "tree":
        order = replace(order, in_flight=order.count)
    timing, settings = asyncio.run(_timed(opened, order))
    # Of what a part would find there, half is another process's.
    return figures(order, timing, None if order.part else stored(order), settings)


async def _timed(opened: Open, order: Order) -> tuple[Timing, dict[str, Any]]:
    async with opened(order) as engine:
        return await time_case(engine, order), engine.settings()


def stored_in(path: Path, query: str) -> Stored:
    """Ask a database file how many workflows it has, and how many of them are completed."""
    with closing(sqlite3.connect(path)) as connection:
        workflows, completed = connection.execute(query).fetchone()
    return Stored(workflows=workflows, completed=completed)


def order_from(words: list[str]) -> Order:
    """CASE --count N --in-flight N --folder PATH [--store URL] [--part NAME]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--store", default="")
    parser.add_argument("--part", default="")
    return Order(**vars(parser.parse_args(words)))


def main(opened: Open, stored: Look, words: list[str]) -> None:
    """Run what the command line orders and print it."""
    print(json.dumps(measure(opened, stored, order_from(words))), flush=True)
