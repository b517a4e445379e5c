"""Each case on each of its stores, with hardly any work: what its figures look like, and that its check can fail."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from math import isfinite
from pathlib import Path

import msgspec
import pytest

from benchmarks.case import Case, Measured
from benchmarks.registry import CASES
from benchmarks.verification import NotAsCounted
from perdure.backends.rows import StoredOutcome

ON_SQLITE = [case for case in CASES.values() if "sqlite" in case.stores]
IN_MEMORY = [case for case in CASES.values() if "memory" in case.stores]

Ran = Callable[[Case], tuple[Path, Measured]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Runs a case once for all tests; gives the folder of its store, and what it measured."""
    done: dict[str, tuple[Path, Measured]] = {}

    def run(case: Case) -> tuple[Path, Measured]:
        if case.name not in done:
            folder = tmp_path_factory.mktemp(case.name)
            done[case.name] = folder, asyncio.run(case.run(url(folder), **case.quick))
        return done[case.name]

    return run


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/bench.db"


def verify(case: Case, store: str) -> dict[str, int]:
    return asyncio.run(case.verify(store, **case.quick))


@pytest.mark.parametrize("case", ON_SQLITE, ids=lambda case: case.name)
def test_a_run_on_sqlite_brings_every_figure_that_is_reported_and_its_settings(case: Case, ran: Ran) -> None:
    _, measured = ran(case)

    assert {measure.figure for measure in case.measures} <= set(measured.figures)
    assert all(isfinite(value) for value in measured.figures.values())
    assert measured.settings["synchronous"] == "full"
    assert measured.settings["journal_mode"] == "wal"


@pytest.mark.parametrize("case", ON_SQLITE, ids=lambda case: case.name)
def test_what_a_run_leaves_behind_is_what_it_counted(case: Case, ran: Ran) -> None:
    folder, _ = ran(case)

    assert verify(case, url(folder))["instances"] > 0


@pytest.mark.parametrize("case", IN_MEMORY, ids=lambda case: case.name)
def test_a_run_in_memory_is_measured_and_checked_in_its_process(case: Case) -> None:
    store = f"memory://bench-{case.name}"

    measured = asyncio.run(case.run(store, **case.quick))

    assert {measure.figure for measure in case.measures} <= set(measured.figures)
    assert verify(case, store)["instances"] > 0


OTHER_RESULT = msgspec.msgpack.encode(StoredOutcome(result=b"-1")).hex()
NEWEST = "where key = (select max(key) from perdure_instances)"

TAMPERINGS = {
    "an instance is gone": "delete from perdure_instances where key = (select min(key) from perdure_instances)",
    "one ended in another way": f"update perdure_instances set state = 2 {NEWEST}",
    "results are others": f"update perdure_instances set outcome = x'{OTHER_RESULT}'",
    "events are gone": "delete from perdure_events",
    "an event is missing": f"update perdure_instances set position = position - 1 {NEWEST}",
}
OF_ENDED_ONES = {"results are others", "events are gone", "an event is missing"}


@pytest.mark.parametrize("tampering", TAMPERINGS)
@pytest.mark.parametrize("case", ON_SQLITE, ids=lambda case: case.name)
def test_a_check_fails_when_the_store_was_tampered_with(case: Case, tampering: str, ran: Ran, tmp_path: Path) -> None:
    if case.name == "start_only" and tampering in OF_ENDED_ONES:
        pytest.skip("nothing has run there")
    shutil.copytree(ran(case)[0], tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "bench.db", isolation_level=None)) as connection:
        assert connection.execute(TAMPERINGS[tampering]).rowcount > 0

    with pytest.raises(NotAsCounted):
        verify(case, url(tmp_path))


@pytest.mark.parametrize("case", IN_MEMORY, ids=lambda case: case.name)
def test_an_empty_store_is_no_proof(case: Case) -> None:
    with pytest.raises(NotAsCounted):
        verify(case, "memory://nothing-in-here")


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_both_scales_of_a_case_have_the_same_names(case: Case) -> None:
    assert set(case.scale) == set(case.quick)


def test_a_case_is_registered_under_its_name() -> None:
    assert all(name == case.name for name, case in CASES.items())
