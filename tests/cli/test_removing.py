from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.orchestrator import Orchestrator
from tests.cli.conftest import Call
from tests.cli.orders import echo, failing, waiting

Work = Callable[[Callable[[Orchestrator], Awaitable[Any]]], None]


@pytest.fixture(autouse=True)
def instances(work: Work) -> None:
    """Two that have completed, one that has failed, one that waits."""

    async def start(perdure: Orchestrator) -> None:
        for name in ("echo-1", "echo-2"):
            await perdure.run(echo.with_options(instance_id=name, tags={"of": name}), name)
        await (await perdure.start(failing.with_options(instance_id="fails"))).wait()
        await perdure.start(waiting.with_options(instance_id="waits"))

    work(start)


def ids(call: Call) -> list[str]:
    return sorted(each["instance_id"] for each in json.loads(call("list", "--json").output))


class TestPrune:
    def test_it_removes_what_has_ended_and_shows_the_progress(self, call: Call) -> None:
        result = call("prune", "--older-than", "0s")

        assert result.exit_code == 0
        assert [line.split() for line in result.stdout.splitlines()] == [
            ["STATE", "MATCHING"],
            ["completed", "2"],
            ["failed", "1"],
            ["Removed", "3", "instances."],
        ]
        assert result.stderr == "3 of 3 instances\n"
        assert ids(call) == ["waits"]

    def test_young_ones_stay(self, call: Call) -> None:
        assert call("prune", "--older-than", "30d").stdout == "Removed 0 instances.\n"
        assert len(ids(call)) == 4

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            (["--state", "failed"], ["echo-1", "echo-2", "waits"]),
            (["--workflow", "echo", "--limit", "1"], ["echo-2", "fails", "waits"]),
            (["--tag", "of=echo-2"], ["echo-1", "fails", "waits"]),
            (["--id-prefix", "echo"], ["fails", "waits"]),
            (["--queue", "another"], ["echo-1", "echo-2", "fails", "waits"]),
        ],
    )
    def test_it_takes_filters(self, call: Call, options: list[str], left: list[str]) -> None:
        assert call("prune", "--older-than", "0s", *options).exit_code == 0
        assert ids(call) == left

    def test_a_dry_run_only_counts(self, call: Call) -> None:
        result = call("prune", "--older-than", "0s", "--dry-run", "--json")

        assert json.loads(result.output) == {"matching": {"completed": 2, "failed": 1}, "removed": 0}
        assert len(ids(call)) == 4

    def test_it_writes_json(self, call: Call) -> None:
        result = call("prune", "--older-than", "0s", "--state", "failed", "--json")

        assert json.loads(result.output) == {"matching": {"failed": 1}, "removed": 1}

    @pytest.mark.parametrize("age", ["", "30", "d", "-1d", "1.5h", "a month"])
    def test_an_age_must_be_one(self, call: Call, age: str) -> None:
        result = call("prune", "--older-than", age)

        assert result.exit_code == 2
        assert "write it as in 30d" in result.output

    def test_everything_must_be_asked_for(self, call: Call) -> None:
        assert call("prune").exit_code == 2
        assert len(ids(call)) == 4


class TestRemove:
    def test_it_removes_by_id_and_says_what_stays(self, call: Call) -> None:
        result = call("remove", "echo-1", "waits", "nobody", "--yes")

        assert result.exit_code == 1
        assert [line.split(maxsplit=1) for line in result.stdout.splitlines()[1:]] == [
            ["echo-1", "removed"],
            ["waits", "still running"],
            ["nobody", "no such instance"],
        ]
        assert ids(call) == ["echo-2", "fails", "waits"]

    def test_many_are_removed_only_if_somebody_says_yes(self, call: Call) -> None:
        result = call("remove", "echo-1", "echo-2")

        assert result.exit_code == 2
        assert "Remove 2 instances? Nobody is here to be asked: pass --yes" in result.stderr
        assert len(ids(call)) == 4

    def test_a_dry_run_only_looks(self, call: Call) -> None:
        result = call("remove", "echo-1", "fails", "--dry-run", "--json")

        assert result.exit_code == 0
        assert json.loads(result.output) == [
            {"instance_id": name, "is_removed": True, "why_not": ""} for name in ("echo-1", "fails")
        ]
        assert call("remove", "waits", "--dry-run").exit_code == 1
        assert len(ids(call)) == 4
