"""Fills a store with instances: one of each kind goes the real way, the others are copies of it."""

from __future__ import annotations

from benchmarks.measuring import until_all_wait
from benchmarks.stores import kind_of
from benchmarks.workload import app, one_activity, steps_in_a_row, wait_for_signal
from perdure import Orchestrator


async def fill(store: str, *, ended: int, waiting: int) -> None:
    """Put so many instances into the store; those of 0 are the templates, and counted."""
    templates = {f"ended-{0:08d}": ended, f"waiting-{0:08d}": waiting}
    async with Orchestrator(store, app, cache_size=0) as perdure:
        await perdure.run(one_activity.with_options(instance_id=f"ended-{0:08d}"), 0)
        await perdure.start(wait_for_signal.with_options(instance_id=f"waiting-{0:08d}"), 0)
        await until_all_wait(perdure, evicted=True)
    await kind_of(store).multiply(store, {template: count for template, count in templates.items() if count > 1})


async def fill_long(store: str, *, events: int) -> str:
    """One instance with a history of so many events, an even number; its id."""
    async with Orchestrator(store, app) as perdure:
        long = steps_in_a_row.with_options(instance_id=f"long-{events}")
        await perdure.run(long, (events - 2) // 2)
    return f"long-{events}"
