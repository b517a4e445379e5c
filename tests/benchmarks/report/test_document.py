from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.outcome import Contestant, Outcome
from benchmarks.registry import CASES
from benchmarks.report.document import filled, sections
from benchmarks.report.summary import summarize
from tests.benchmarks.report.made_up import ALL, RUNS, SQLITE, outcome

FACTS = {"cores": 2, "processor": "Z80", "python": "CPython 4", "disk": "ext4", "began_at": "today", "load": 0.1}
POSTGRESQL = Contestant(name="perdure, postgresql", store="postgresql")
DBOS = Contestant(name="dbos_postgresql", durability="full", beside="postgresql", differs="polls")
EDDA = Contestant(name="edda", durability="full", beside="sqlite", differs="one connection")
ON_SERVERS = [
    *(
        outcome("two_workers", POSTGRESQL, n, rate=rate, p50_ms=9.0)
        for n, rate in enumerate((9_000, 10_000, 12_000), 1)
    ),
    *(outcome("two_workers", DBOS, n, rate=rate) for n, rate in enumerate((250, 200, 150), 1)),
    outcome("signal_elsewhere", POSTGRESQL, 1, p50_ms=2.5, p99_ms=25.0),
    outcome("steps_in_a_row", POSTGRESQL, 1, rate=626.0),
]
PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"


def made(*outcomes: Outcome) -> dict[str, str]:
    rows = summarize(list(CASES.values()), [*ALL, POSTGRESQL, DBOS, EDDA], outcomes)
    return sections(FACTS, outcomes, rows)


def cells(text: str, *begin: str) -> list[str]:
    """The cells of the one line that begins with these, behind them."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    [found] = [line for line in lines if line[: len(begin)] == list(begin)]
    return found[len(begin) :]


def test_a_section_is_written_anew_and_nothing_else_is() -> None:
    page = "a\n<!-- figures: rates -->\nold\n<!-- end of figures -->\nb\n<!-- figures: times -->\nkept\n<!-- end of figures -->\n"

    found = filled(page, {"rates": "new\n"})

    assert found == page.replace("old", "new")
    assert filled(found, {"rates": "new\n"}) == found


def test_a_page_without_a_place_for_a_section_is_an_error() -> None:
    with pytest.raises(ValueError, match="times"):
        filled("<!-- figures: rates -->\n<!-- end of figures -->", {"rates": "", "times": ""})


def test_a_line_has_the_median_of_each_store_and_half_of_its_range() -> None:
    found = made(*ON_SERVERS, *RUNS)

    assert found["rates"].splitlines()[0] == "|  | sqlite | postgresql | memory |"
    assert cells(found["rates"], "workflows of one activity, one process, 200 in flight") == [
        "11,000 ±14%",
        "",
        "11,000 ±41%",
    ]
    assert cells(found["rates"], "workflows of one activity, two processes, 200 in flight") == ["", "10,000 ±15%", ""]


def test_a_line_beside_others_has_the_target_and_the_ratios() -> None:
    title = "workflows of one activity, two processes, 200 in flight"

    found = made(*ON_SERVERS)["beside"]

    assert cells(found, title, "postgresql") == [
        "10,000 workflows/s", "≥ 6,000 workflows/s: met", "200: 50 ×", "", "go-workflows 95-104: 96.2 ×, DBOS 150-460: 21.7 ×",
    ]  # fmt: skip
    assert cells(found, "steps of one workflow, one after the other", "postgresql")[-1] == "go-workflows 257-313: 2 ×"
    assert "≤ 20 ms: missed" in cells(
        found, "a signal to a workflow that waits in another process, until it is there, p99", "postgresql"
    )


def test_what_the_server_said_is_told_and_what_the_worker_was_told_is_not() -> None:
    said: dict[str, Any] = {"synchronous_commit": "on", "max_activities": 200}
    run = msgspec.structs.replace(ON_SERVERS[0], settings=said)

    assert cells(made(run)["settings"], "postgresql") == ["`synchronous_commit=on`"]


def test_a_run_leaves_sections_alone_that_it_has_nothing_for() -> None:
    assert "libraries" not in made(*ON_SERVERS)
    assert set(made(*RUNS, outcome("one_activity", EDDA, 1, rate=70.0))) == {"libraries", "libraries-machine"}
    assert made(outcome("one_activity", SQLITE, 1, rate=1.0)) == {}


def test_the_page_has_every_section() -> None:
    whole = made(
        *ON_SERVERS,
        outcome("one_activity", POSTGRESQL, 1, rate=1.0, cpu_us_per_unit=100.0),
        outcome("one_activity", EDDA, 1, rate=70.0),
    )

    assert set(re.findall(r"<!-- figures: (\S+) -->", PAGE.read_text())) == set(whole)
