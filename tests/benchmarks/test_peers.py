"""Peers of the benchmarks: the floor really runs; the others need what only a network brings, so their contract is looked at."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.peers import CASES, PEERS, environments, floor, measure
from benchmarks.stores import KINDS
from tests.stores import as_parameters, service_url

ONE_OF_EACH = {"one_activity": 5, "ten_in_a_row": 3, "steps_in_a_row": 4, "fan_out": 7, "tree": 2, "idle_latency": 3}


def run(name: str, case: str, folder: Path, count: int, store: str = "") -> dict[str, Any]:
    """In a process of its own, started from somewhere else."""
    command = PEERS[name].command(case, count=count, in_flight=2, folder=folder, store=store)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def order(folder: Path, case: str = "one_activity", count: int = 4) -> measure.Order:
    return measure.Order(case=case, count=count, in_flight=2, folder=folder)


def timing(**changed: Any) -> measure.Timing:
    usual = {"seconds": 1.0, "done": 2, "unit": "workflows", "results": [1, 3], "expected": [1, 3], "workflows": 2}
    return measure.Timing(**{**usual, **changed})


@pytest.mark.parametrize(("case", "count"), [*ONE_OF_EACH.items(), ("start_only", 5)])
def test_the_floor_runs_each_case_and_finds_it_right(case: str, count: int, tmp_path: Path) -> None:
    figures = run("floor", case, tmp_path, count)

    assert figures["problems"] == []
    assert figures["verified"] is True
    assert figures["count"] == count
    assert figures["seconds"] >= 0
    assert ("rate" in figures) != ({"p50_ms", "p99_ms"} <= set(figures))
    assert figures["unit"]


def test_the_floor_tells_how_durable_its_connection_is(tmp_path: Path) -> None:
    settings = run("floor", "one_activity", tmp_path, 1)["settings"]

    assert (settings["journal_mode"], settings["synchronous"]) == ("wal", 2)


def test_the_floor_in_memory_leaves_no_file(tmp_path: Path) -> None:
    figures = run("floor_memory", "tree", tmp_path, 2)

    assert figures["verified"] is True
    assert list(tmp_path.iterdir()) == []


def test_the_floor_writes_what_happened(tmp_path: Path) -> None:
    measure.measure(floor.opened, floor.stored, order(tmp_path, count=1))

    with sqlite3.connect(tmp_path / floor.FILE) as connection:
        rows = connection.execute("select seq, events from events order by instance desc, seq limit 2").fetchall()
        left = connection.execute("select count(*) from tasks").fetchone()
    kinds = [(seq, [event.kind for event in floor.decode_events(events)]) for seq, events in rows]
    assert kinds == [(0, ["started", "activity"]), (2, ["completed", "ended"])]
    assert left == (0,)
    connection.close()


@pytest.fixture(params=as_parameters(("postgresql", "mariadb", "mysql", "redis")))
def floor_on_a_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The name of the peer, and the URL of its store."""
    kind = KINDS[request.param]
    url = asyncio.run(kind.fresh(service_url(request.param), tmp_path, uuid4().hex[:12]))
    yield f"floor_{request.param}", url
    asyncio.run(kind.drop(url))


@pytest.mark.parametrize(("case", "count"), [("tree", 2), ("two_workers", 8), ("start_only", 5)])
def test_the_floor_runs_on_servers(case: str, count: int, floor_on_a_server: tuple[str, str], tmp_path: Path) -> None:
    name, store = floor_on_a_server

    figures = run(name, case, tmp_path, count, store=store)

    assert figures["problems"] == []
    assert (figures["verified"], figures["count"]) == (True, count)
    assert figures["rate"] > 0


def test_a_part_leaves_the_look_at_the_store_to_who_has_begun_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("go\n"))

    def nobody_looks(order: measure.Order) -> measure.Stored:
        raise AssertionError(order)

    figures = measure.measure(floor.opened, nobody_looks, replace(order(tmp_path), part="w1"))

    assert figures["verified"] is True
    assert figures["began_at"] > 0


def test_a_wrong_result_is_no_verified_run(tmp_path: Path) -> None:
    figures = measure.figures(order(tmp_path), timing(results=[1, 4]), None, {})

    assert figures["verified"] is False
    assert figures["problems"] == ["workflow 1 returned 4, not 3"]


def test_a_workflow_that_the_file_lost_is_no_verified_run(tmp_path: Path) -> None:
    def stored_after_a_loss(order: measure.Order) -> measure.Stored:
        with sqlite3.connect(order.folder / floor.FILE) as connection:
            connection.execute("update instances set result = null where id = 1")
        connection.close()
        return floor.stored(order)

    figures = measure.measure(floor.opened, stored_after_a_loss, order(tmp_path))

    assert figures["verified"] is False
    assert "completed=6" in figures["problems"][0]


def test_what_is_only_started_must_not_be_completed(tmp_path: Path) -> None:
    ran = measure.Stored(workflows=2, completed=2)

    assert measure.problems_of(order(tmp_path, case="start_only"), timing(), ran)


def test_a_tree_has_the_shape_of_the_go_benchmark() -> None:
    """Root, then as many levels of two as its depth says, then two leaves each."""
    levels = [2**level for level in range(measure.DEPTH + 2)]

    assert sum(levels) == measure.WORKFLOWS_OF_A_TREE
    assert levels[-1] * 2 * 100 == measure.BYTES_OF_A_TREE


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_says_what_it_does_and_how_it_differs(name: str) -> None:
    peer = PEERS[name]

    assert peer.name == name
    assert peer.cases <= set(CASES)
    assert {"one_activity", "idle_latency"} <= peer.cases
    for line in (peer.durability, peer.differs):
        assert line
        assert "\n" not in line


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_a_script_and_a_scale_for_each_case(name: str, tmp_path: Path) -> None:
    peer = PEERS[name]

    assert Path(measure.__file__).with_name(f"{peer.program}.py").is_file()
    for case in peer.cases:
        scale = peer.scale(case)
        command = peer.command(case, count=scale.count, in_flight=scale.in_flight, folder=tmp_path)
        assert str(scale.count) in command
        assert str(tmp_path) in command


def test_a_case_that_a_peer_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no tree"):
        PEERS["unhinged"].command("tree", count=1, in_flight=1, folder=tmp_path)


@pytest.mark.parametrize("path", sorted(environments.REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
def test_requirements_are_pinned_and_explained(path: Path) -> None:
    why, *lines = path.read_text().splitlines()

    assert why.startswith("# ")
    assert lines
    assert all("==" in line for line in lines)


def test_a_peer_without_requirements_runs_where_the_suite_runs() -> None:
    assert environments.ensure("floor") is None
    assert environments.python_of("floor") == Path(sys.executable)


def test_an_environment_that_cannot_be_built_gives_the_reason_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_text("# so that no registry is asked\n/no/such/folder\n")

    reason = environments.ensure("broken", folder=tmp_path / "environments", requirements=tmp_path)

    assert reason is not None
    assert "/no/such/folder" in reason
    assert not (tmp_path / "environments" / "broken").exists()


def test_an_environment_is_built_once_and_again_when_its_requirements_change(tmp_path: Path) -> None:
    requirements, python = tmp_path / "empty.txt", tmp_path / "environments" / "empty"
    requirements.write_text("# nothing\n")
    assert environments.ensure("empty", folder=tmp_path / "environments", requirements=tmp_path) is None
    (python / "trace").touch()
    assert environments.ensure("empty", folder=tmp_path / "environments", requirements=tmp_path) is None
    is_kept = (python / "trace").exists()

    requirements.write_text("# nothing again\n")
    assert environments.ensure("empty", folder=tmp_path / "environments", requirements=tmp_path) is None

    assert is_kept
    assert not (python / "trace").exists()
