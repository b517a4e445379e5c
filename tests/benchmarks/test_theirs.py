"""Peers, by programs that print what they are told to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.outcome import Outcome
from benchmarks.peers import Scale
from benchmarks.registry import CASES
from benchmarks.theirs import Theirs, usable

CASE = CASES["one_activity"]

PRINTS = """
import json, sys
count = int(sys.argv[1])
print("some noise of a library")
print(json.dumps({"rate": 400.0, "count": count, "unit": "workflows/s", "verified": True, "settings": {"a": "b"}}))
"""


class Fake:
    """A peer whose program is given."""

    def __init__(self, program: str = PRINTS, name: str = "fake") -> None:
        self.name = self.program = name
        self.cases = frozenset({"one_activity", "tree"})
        self.durability = "none at all"
        self.beside = "sqlite"
        self.differs = "it does nothing"
        self.asked: list[tuple[int, int]] = []
        self.stores: list[str] = []
        self._program = program

    def scale(self, case: str) -> Scale:
        return Scale(count=700, in_flight=50)

    def command(self, case: str, *, count: int, in_flight: int, folder: Path, store: str) -> list[str]:
        self.asked.append((count, in_flight))
        self.stores.append(store)
        return [sys.executable, "-c", self._program, str(count)]


def run(peer: Fake, folder: Path, *, theirs: Theirs | None = None, is_quick: bool = False) -> Outcome:
    return (theirs or Theirs(peer)).run(CASE, 1, folder, is_quick=is_quick)


def test_a_peers_last_line_is_its_figures(tmp_path: Path) -> None:
    outcome = run(Fake(), tmp_path)

    assert outcome.figures["rate"] == 400.0
    assert outcome.settings == {"a": "b"}
    assert not outcome.skipped


def test_a_peer_does_as_much_as_it_says(tmp_path: Path) -> None:
    peer = Fake()

    outcome = run(peer, tmp_path)

    assert peer.asked == [(700, 50)]
    assert outcome.scale == {"count": 700, "in_flight": 50}


def test_a_quick_run_asks_for_hardly_anything(tmp_path: Path) -> None:
    peer = Fake()

    run(peer, tmp_path, is_quick=True)

    assert peer.asked == [(20, 20)]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit('no server here')", "no server here"),
        ("print('not json')", "no JSON"),
        ("print('" + json.dumps({"rate": 1e9, "verified": False}) + "')", "did not find what it had counted"),
    ],
)
def test_a_peer_that_fails_is_skipped_with_the_reason_and_not_tried_again(
    program: str, reason: str, tmp_path: Path
) -> None:
    peer = Fake(program)
    theirs = Theirs(peer)

    first = run(peer, tmp_path, theirs=theirs)
    second = run(peer, tmp_path, theirs=theirs)

    assert reason in first.skipped
    assert second.skipped == first.skipped
    assert (first.figures, len(peer.asked)) == ({}, 1)


def test_a_peer_that_is_on_a_server_gets_a_store_of_its_own_there(tmp_path: Path) -> None:
    with_server, without = Fake(), Fake()

    run(with_server, tmp_path, theirs=Theirs(with_server, "sqlite:///{folder}/beside-us.db"))
    run(without, tmp_path)

    assert with_server.stores == [f"sqlite:///{tmp_path}/beside-us.db"]
    assert without.stores == [""]


def test_a_peer_takes_the_cases_that_it_has() -> None:
    theirs = Theirs(Fake())

    assert theirs.takes(CASE)
    assert not theirs.takes(CASES["start_only"])
    assert not theirs.takes(CASES["timers"])


def test_a_peer_without_an_environment_is_left_out_with_the_reason() -> None:
    answers: dict[str, str | None] = {"a": None, "b": "it has no wheel"}

    ready, reasons = usable({name: Fake(name=name) for name in answers}, {}, answers.__getitem__)

    assert [each.contestant.name for each in ready] == ["a"]
    assert reasons == {"b": "it has no wheel"}
