"""`result` and `wait`: what they write, and their exit codes."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Call, Serve

APP = ("--app", "tests.cli.orders:app")


@pytest.fixture(autouse=True)
def ended(call: Call, serve: Serve) -> None:
    """One instance of each end."""
    call("migrate")
    for workflow, name in (("waiting", "cancelled"), ("waiting", "terminated"), ("waiting", "waits")):
        call("start", workflow, "--id", name)
    call("start", "echo", json.dumps("tea" * 100), "--id", "completed")
    call("start", "failing", "--id", "failed")
    call("cancel", "cancelled")
    call("terminate", "terminated", "--reason", "no tea left")
    serve()
    call("wait", "completed", "failed", "cancelled", "terminated")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("completed", 0, ""),
        ("failed", 3, "failed failed: ValueError"),
        ("cancelled", 4, "cancelled was cancelled"),
        ("terminated", 5, "terminated was terminated: no tea left"),
    ],
)
def test_the_exit_code_of_result_says_how_it_ended(call: Call, name: str, code: int, said: str) -> None:
    result = call("result", name, *APP)

    assert result.exit_code == code
    assert said in result.stderr
    assert bool(result.stdout) is (code == 0)


@pytest.mark.parametrize("name", ["completed", "failed", "cancelled", "terminated"])
def test_json_has_one_shape_for_every_end(call: Call, name: str) -> None:
    ended = json.loads(call("result", name, "--json", *APP).stdout)

    assert set(ended) == {"instance_id", "workflow", "state", "result", "failure", "reason"}
    assert ended["state"] == name


def test_a_result_that_codecs_keep_closed_says_what_opens_it(call: Call) -> None:
    result = call("result", "completed")

    assert result.exit_code == 1
    assert "--app MODULE:APP" in result.stderr
    assert json.loads(call("result", "completed", *APP).stdout) == "TEA" * 100


def test_what_still_runs_after_the_time_out_goes_on(call: Call) -> None:
    result = call("result", "waits", "--timeout", "0s")

    assert (result.exit_code, result.stdout) == (6, "")


def test_wait_tells_each_and_its_code_is_the_highest(call: Call) -> None:
    result = call("wait", "completed", "failed", "cancelled")

    assert result.exit_code == 4
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["completed", "completed"],
        ["failed", "failed"],
        ["cancelled", "cancelled"],
    ]


def test_wait_writes_json(call: Call) -> None:
    result = call("wait", "completed", "waits", "--timeout", "0s", "--json")

    assert result.exit_code == 6
    assert json.loads(result.stdout) == [
        {"instance_id": "completed", "state": "completed"},
        {"instance_id": "waits", "state": "running"},
    ]


@pytest.mark.parametrize("command", [["result", "complete"], ["wait", "completed", "complete"], ["show", "complete"]])
def test_an_id_that_is_not_there_is_told_with_those_that_are_near(call: Call, command: list[str]) -> None:
    result = call(*command)

    assert result.exit_code == 1
    assert "there is no instance 'complete'. Did you mean 'completed'?" in result.stderr


def test_a_suspended_instance_is_told_to_who_waits(call: Call) -> None:
    call("suspend", "waits")

    assert "Note: it is suspended: `perdure resume` lets it go on" in call("result", "waits", "--timeout", "0s").stderr
