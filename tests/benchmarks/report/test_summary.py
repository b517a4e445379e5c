from __future__ import annotations

import pytest

from benchmarks.outcome import Contestant
from benchmarks.report.summary import Row, summarize
from tests.benchmarks.report.made_up import ALL, FLOOR, IDLE, ONE, RUNS, outcome


def row(rows: list[Row], contestant: str, figure: str = "rate") -> Row:
    [found] = [row for row in rows if (row.contestant, row.figure) == (contestant, figure)]
    return found


def test_the_median_of_the_rounds_counts_and_the_range_is_told() -> None:
    found = row(summarize([ONE], ALL, RUNS), "perdure, sqlite")

    assert (found.median, found.least, found.most, found.runs) == (11_000, 9_000, 12_000, 3)


def test_a_peer_is_compared_with_us_on_the_durable_store() -> None:
    rows = summarize([ONE], ALL, RUNS)

    assert row(rows, "dbos").times_ours == pytest.approx(11_000 / 300)
    assert row(rows, "perdure, memory").times_ours is None


def test_a_peer_in_memory_is_compared_with_us_in_memory() -> None:
    volatile = Contestant(name="durabletask", durability="none: in memory", beside="memory")
    rows = summarize([ONE], [*ALL, volatile], [*RUNS, outcome("one_activity", volatile, 1, rate=1_100)])

    assert row(rows, "durabletask").times_ours == 10


def test_of_a_time_less_is_better() -> None:
    rows = summarize([IDLE], ALL, RUNS)

    assert row(rows, "dbos", "p50_ms").times_ours == 10
    assert [each.is_met for each in row(rows, "perdure, sqlite", "p50_ms").verdicts] == [True]


def test_a_target_belongs_to_its_store() -> None:
    rows = summarize([ONE], ALL, RUNS)

    assert [(each.wanted, each.is_met) for each in row(rows, "perdure, memory").verdicts] == [
        ("≥ 12,000 workflows/s", False)
    ]


def test_a_target_against_a_peer_needs_the_peers_figure() -> None:
    without_floor = row(summarize([ONE], ALL, RUNS), "perdure, sqlite").verdicts
    with_floor = row(
        summarize([ONE], ALL, [*RUNS, outcome("one_activity", FLOOR, 1, rate=40_000)]), "perdure, sqlite"
    ).verdicts

    assert [(each.wanted, each.is_met) for each in without_floor] == [
        ("≥ 10,000 workflows/s", True),
        ("≥ 30 × dbos", True),
    ]
    assert [(each.wanted, each.is_met) for each in with_floor][2:] == [("≥ 0.35 × floor", False)]


def test_a_figure_that_was_published_stands_beside_ours_on_its_store_alone() -> None:
    on_redis = Contestant(name="perdure, redis", store="redis")
    rows = summarize([ONE], [*ALL, on_redis], [*RUNS, outcome("one_activity", on_redis, 1, rate=3_540)])

    [found] = row(rows, "perdure, redis").not_run_here
    assert (found.who, found.least, found.most, found.times) == ("go-workflows", 1_500, 1_770, 2)
    assert row(rows, "perdure, sqlite").not_run_here == ()


def test_who_has_no_figures_has_no_row() -> None:
    assert "floor" not in {each.contestant for each in summarize([ONE], ALL, RUNS)}
