"""The first case again, in a store that holds many ended and waiting instances; and looking at these."""

from __future__ import annotations

import statistics
import time
from typing import Any

import msgspec

from benchmarks import fresh
from benchmarks.case import SHARED_STORES, Case, Measured, Target, at_least, at_most
from benchmarks.cases.one_activity import expected
from benchmarks.filling import fill
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch
from benchmarks.stores import kind_of
from benchmarks.verification import NotAsCounted, check
from benchmarks.workload import ONE_ACTIVITY_EVENTS, app, one_activity, wait_for_signal
from perdure import Client, Orchestrator, State

_TURNS = ("full", "empty", "empty", "full")
"""Both twice and mirrored, so that what drifts hits both."""


async def run(store: str, *, count: int, in_flight: int, ended: int, waiting: int) -> Measured:
    """Fill the store; then the same work there and in an empty one, each time in a process of its own."""
    began = time.perf_counter()
    await fill(store, ended=ended, waiting=waiting)
    filled_seconds = time.perf_counter() - began
    empty = await kind_of(store).beside(store)
    rates: dict[str, list[float]] = {"full": [], "empty": []}
    figures: dict[str, float] = {}
    for turn, where in enumerate(_TURNS):
        url = store if where == "full" else empty
        taken = await fresh.call(work, store=url, turn=turn, count=count, in_flight=in_flight)
        rates[where].append(taken["figures"]["rate"])
        if where == "full":
            figures = taken["figures"]
            settings = taken["settings"]
    full, of_empty = statistics.mean(rates["full"]), statistics.mean(rates["empty"])
    figures |= await fresh.call(look, store=store)
    figures |= {"rate": full, "rate_when_empty": of_empty, "full_to_empty": full / of_empty, "fill_s": filled_seconds}
    return Measured(figures=figures, settings=settings | {"ended": ended, "waiting": waiting})


async def work(store: str, turn: int, count: int, in_flight: int) -> dict[str, Any]:
    """Workflows of one activity."""
    async with Orchestrator(store, app) as perdure:

        async def one(x: int) -> None:
            await perdure.run(one_activity.with_options(instance_id=f"order-{turn}-{x:08d}"), x)

        with stretch(perdure) as took:
            latencies = await keep_in_flight(count, in_flight, one)
        done = await measured(perdure, took.per_unit(count) | percentiles(latencies), in_flight=in_flight)
    plain: dict[str, Any] = msgspec.to_builtins(done)
    return plain


async def look(store: str) -> dict[str, float]:
    """What user interfaces ask for: pages of a list from its start and from within, and counts."""
    async with Client(store, app) as client:
        cursor = (await client.page()).cursor
        figures = {
            "page_ms": await _milliseconds(lambda: client.page(cursor=cursor)),
            "page_of_running_ms": await _milliseconds(lambda: client.page(states=[State.RUNNING])),
            "page_of_failed_ms": await _milliseconds(lambda: client.page(states=[State.FAILED])),  # there is none
            "page_of_workflow_ms": await _milliseconds(lambda: client.page(workflow=wait_for_signal)),
            "page_of_prefix_ms": await _milliseconds(lambda: client.page(id_prefix="ended-0000")),
            "count_ms": await _milliseconds(client.count),
            "count_of_running_ms": await _milliseconds(lambda: client.count(states=[State.RUNNING])),
        }
    return figures | {"slowest_page_ms": max(figures.values())}


async def _milliseconds(ask: Any) -> float:
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        await ask()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


async def verify(store: str, *, count: int, in_flight: int, ended: int, waiting: int) -> dict[str, int]:
    """The work in both files, and what the one was filled with."""
    empty = await kind_of(store).beside(store)
    checked = {"filled": await _check_filling(store, ended, waiting)}
    for turn, where in enumerate(_TURNS):
        async with Client(store if where == "full" else empty, app) as client:
            found = await check(client, expected(f"order-{turn}-", count), is_all=False)
        checked |= {name: checked.get(name, 0) + number for name, number in found.items()}
    return checked


async def _check_filling(store: str, ended: int, waiting: int) -> int:
    async with Client(store, app) as client:
        found = {
            "ended": await client.count(id_prefix="ended-"),
            "waiting": await client.count(id_prefix="waiting-", workflow=wait_for_signal),
        }
        if found != {"ended": {State.COMPLETED: ended}, "waiting": {State.RUNNING: waiting}}:
            raise NotAsCounted(
                f"the file was to be filled with {ended} ended and {waiting} waiting ones, and has {found}"
            )
        for number in range(0, ended, max(1, ended // 50)):
            handle = client.handle(f"ended-{number:08d}", one_activity)
            kinds = tuple([type(each.event).__name__ async for each in handle.history()])
            if await handle.result() != 1 or kinds != ONE_ACTIVITY_EVENTS:
                raise NotAsCounted(f"{handle.instance_id} isn't what a workflow leaves behind")
    return ended + waiting


CASE = Case(
    name="full_store",
    summary="one_activity in a store with many ended and waiting instances; pages of lists and counts",
    run=run,
    verify=verify,
    measures=(
        at_least("rate", "workflows/s"),
        at_least("full_to_empty", "x", *(Target(bound=0.85, store=store) for store in SHARED_STORES)),
        at_most("slowest_page_ms", "ms", Target(bound=50)),
        at_most("count_ms", "ms"),
    ),
    scale={"count": 10_000, "in_flight": 200, "ended": 200_000, "waiting": 20_000},
    quick={"count": 60, "in_flight": 20, "ended": 300, "waiting": 100},
    stores=SHARED_STORES,
    rounds=1,
)
