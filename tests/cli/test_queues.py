from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.orchestrator import Orchestrator
from tests.cli.conftest import Call
from tests.cli.orders import echo

Work = Callable[[Callable[[Orchestrator], Awaitable[Any]]], None]


@pytest.fixture
def waiting(work: Work) -> None:
    """An instance that waits for a worker of its queue."""

    async def start(orchestrator: Orchestrator) -> None:
        await orchestrator.start(echo.with_options(instance_id="waits", queue="mail"), "a")

    work(start)


@pytest.mark.usefixtures("waiting")
class TestQueues:
    def test_it_shows_what_waits_and_the_limits(self, call: Call) -> None:
        call("queue", "limit", "gpu", "--at-once", "2", "--per-second", "0.5")

        lines = [line.split("  ") for line in call("queues").output.splitlines()]

        assert [[cell.strip() for cell in line if cell.strip()] for line in lines][:2] == [
            ["QUEUE", "LIMITS", "WORKFLOW TASKS", "ACTIVITIES", "RUNNING", "OLDEST DUE"],
            ["gpu", "2 at once, 0.5 a second", "0", "0", "0"],
        ]
        assert lines[2][0] == "mail"

    def test_it_writes_json(self, call: Call) -> None:
        call("queue", "pause", "gpu")

        gpu, mail = json.loads(call("queues", "--json").output)

        assert gpu == {
            "queue": "gpu",
            "limits": {"paused": True, "at_once": None, "per_second": None},
            "status": None,
        }
        assert (mail["queue"], mail["status"]["workflow_tasks"]) == ("mail", 1)

    def test_a_change_says_what_holds_then(self, call: Call) -> None:
        said = [
            call("queue", *arguments, "gpu").output
            for arguments in (
                ["limit", "--at-once", "2"],
                ["pause"],
                ["limit", "--per-second", "3"],
                ["resume"],
                ["limit"],
            )
        ]

        assert said == [
            "gpu: 2 at once\n",
            "gpu: paused, 2 at once\n",
            "gpu: paused, 3 a second\n",
            "gpu: 3 a second\n",
            "gpu: no limits\n",
        ]


def test_it_says_when_there_is_nothing(call: Call) -> None:
    call("migrate")

    result = call("queues")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nothing waits, and no queue has limits.\n"


@pytest.mark.parametrize("option", [["--at-once", "0"], ["--per-second", "0"]])
def test_limits_that_cant_be_meant_are_refused(call: Call, option: list[str]) -> None:
    call("migrate")

    assert call("queue", "limit", "gpu", *option).exit_code == 2
