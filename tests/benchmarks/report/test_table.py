from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from benchmarks.report.summary import summarize
from benchmarks.report.table import number, print_report
from tests.benchmarks.report.made_up import ALL, IDLE, ONE, RUNS


@pytest.fixture(scope="module")
def printed() -> str:
    console = Console(file=StringIO(), width=200)
    print_report(console, [ONE, IDLE], ALL, RUNS, summarize([ONE, IDLE], ALL, RUNS))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "11,000",
        "36.7 x (sqlite)",
        "≥ 10,000 workflows/s met",
        "≥ 12,000 workflows/s MISSED",
        "≥ 30 × dbos (36.7) met",
        "perdure, sqlite: count=7; synchronous=full; checked by a fresh process instances=7",
        "three workflows to warm up",
        "floor: skipped: no compiler here",
        "dbos: durability: full <sync>; differs: polls & waits",
    ],
)
def test_the_report_has_figures_targets_settings_checks_and_reasons(printed: str, text: str) -> None:
    assert text in printed


@pytest.mark.parametrize(("value", "text"), [(12_345.6, "12,346"), (99.94, "99.9"), (0.0123, "0.0123"), (0.0, "0")])
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert number(value) == text
