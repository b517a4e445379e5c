from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.case import Case
from benchmarks.outcome import Contestant, Outcome
from benchmarks.registry import CASES
from benchmarks.rounds import run_all

ONE, TREE = CASES["one_activity"], CASES["tree"]


class Noted:
    """A contestant that writes down when it is run."""

    def __init__(self, name: str, log: list[tuple[int, str, str]], *, only: str = "") -> None:
        self.contestant = Contestant(name=name)
        self._log = log
        self._only = only

    def takes(self, case: Case) -> bool:
        return self._only in {"", case.name}

    def run(self, case: Case, round: int, folder: Path, *, is_quick: bool) -> Outcome:  # noqa: A002 - the word for it
        assert folder.is_dir()
        assert not list(folder.iterdir())
        (folder / "left behind").touch()
        self._log.append((round, case.name, self.contestant.name))
        return Outcome(case=case.name, contestant=self.contestant.name, round=round)


def run(cases: list[Case], runners: list[Noted], folder: Path, rounds: int = 2) -> list[Outcome]:
    return run_all(cases, runners, rounds=rounds, is_quick=True, folder=folder, tell=lambda _: None)


def test_contestants_take_turns_within_each_round(tmp_path: Path) -> None:
    log: list[tuple[int, str, str]] = []

    run([ONE, TREE], [Noted("a", log), Noted("b", log)], tmp_path)

    of_a_round = [("one_activity", "a"), ("one_activity", "b"), ("tree", "a"), ("tree", "b")]
    assert log == [(number, *each) for number in (1, 2) for each in of_a_round]


def test_a_contestant_is_asked_for_its_cases_alone(tmp_path: Path) -> None:
    log: list[tuple[int, str, str]] = []

    run([ONE, TREE], [Noted("a", log, only="tree")], tmp_path, rounds=1)

    assert log == [(1, "tree", "a")]


def test_a_case_that_takes_minutes_has_fewer_rounds(tmp_path: Path) -> None:
    log: list[tuple[int, str, str]] = []
    slow = msgspec.structs.replace(TREE, rounds=1)

    run([ONE, slow], [Noted("a", log)], tmp_path)

    assert [each[:2] for each in log] == [(1, "one_activity"), (1, "tree"), (2, "one_activity")]


def test_a_round_that_would_end_too_late_isnt_begun(tmp_path: Path) -> None:
    log: list[tuple[int, str, str]] = []

    run_all([ONE], [Noted("a", log)], rounds=3, is_quick=True, folder=tmp_path, tell=lambda _: None, limit_seconds=0)

    assert log == [(1, "one_activity", "a")]


def test_what_a_sync_took_on_the_disk_is_noted_with_each_run(tmp_path: Path) -> None:
    class Measured(Noted):
        def run(self, case: Case, round: int, folder: Path, *, is_quick: bool) -> Outcome:  # noqa: A002 - the same
            return Outcome(case=case.name, contestant="a", round=round, figures={"rate": 1.0})

    [outcome] = run([ONE], [Measured("a", [])], tmp_path, rounds=1)

    assert outcome.figures["disk_sync_ms"] > 0


def test_nothing_of_a_run_is_left_on_the_disk(tmp_path: Path) -> None:
    run([ONE], [Noted("a", [])], tmp_path)

    assert not list(tmp_path.iterdir())
