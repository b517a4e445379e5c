"""The cases, in the order in which they run and are shown."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.case import Case
from benchmarks.cases import (
    fan_out,
    full_store,
    idle_latency,
    limited_queue,
    one_activity,
    processes,
    pruning,
    queries,
    recovery,
    replay,
    signal_elsewhere,
    signal_latency,
    start_only,
    steps_in_a_row,
    ten_in_a_row,
    timers,
    tree,
    two_workers,
    waiting_evicted,
    waiting_kept,
)

ON_EVERY_STORE = (
    "one_activity",
    "two_workers",
    "steps_in_a_row",
    "tree",
    "start_only",
    "idle_latency",
    "signal_elsewhere",
    "full_store",
)
"""What runs if nobody says which: enough to compare stores, in the time that one waits for."""

CASES: Mapping[str, Case] = {
    each.CASE.name: each.CASE
    for each in (
        one_activity,
        two_workers,
        ten_in_a_row,
        steps_in_a_row,
        fan_out,
        tree,
        start_only,
        idle_latency,
        signal_latency,
        signal_elsewhere,
        timers,
        replay,
        queries,
        recovery,
        processes,
        limited_queue,
        waiting_kept,
        waiting_evicted,
        full_store,
        pruning,
    )
}
