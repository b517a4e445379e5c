"""Runs that never were, for the reports."""

from __future__ import annotations

from benchmarks.outcome import Contestant, Outcome
from benchmarks.registry import CASES

ONE, IDLE = CASES["one_activity"], CASES["idle_latency"]
SQLITE = Contestant(name="perdure, sqlite", store="sqlite")
MEMORY = Contestant(name="perdure, memory", store="memory")
DBOS = Contestant(name="dbos", durability="full <sync>", beside="sqlite", differs="polls & waits")
FLOOR = Contestant(name="floor", durability="full", beside="sqlite", differs="no engine")
ALL = [SQLITE, MEMORY, DBOS, FLOOR]


def outcome(case: str, contestant: Contestant, number: int, **figures: float) -> Outcome:
    return Outcome(
        case=case,
        contestant=contestant.name,
        round=number,
        figures=figures,
        settings={"synchronous": "full"},
        scale={"count": 7},
        verified={"instances": 7, "by": "a fresh process"},
    )


RUNS = [
    *(outcome("one_activity", SQLITE, n, rate=rate, p99_ms=9.0) for n, rate in enumerate((9_000, 12_000, 11_000), 1)),
    *(outcome("one_activity", MEMORY, n, rate=rate, p99_ms=3.0) for n, rate in enumerate((11_000, 11_000, 20_000), 1)),
    *(outcome("one_activity", DBOS, n, rate=rate) for n, rate in enumerate((300, 500, 275), 1)),
    Outcome(case="one_activity", contestant="floor", round=1, skipped="no compiler here"),
    outcome("idle_latency", SQLITE, 1, p50_ms=1.25, p99_ms=4.0),
    outcome("idle_latency", DBOS, 1, p50_ms=12.5, p99_ms=40.0),
]
