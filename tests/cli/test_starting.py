"""`start`: by name, with JSON, with and without the App."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Serve

APP = ("--app", "tests.cli.orders:app")


def state_of(call: Call, instance_id: str) -> str:
    found: str = json.loads(call("show", instance_id, "--json").stdout)["instance"]["state"]
    return found


@pytest.fixture(autouse=True)
def store(call: Call) -> None:
    call("migrate")


class TestWithoutTheApp:
    def test_what_is_started_by_its_name_runs(self, call: Call, serve: Serve) -> None:
        started = call("start", "echo", '"tea"', "--id", "order-7")
        assert (started.exit_code, started.stdout) == (0, "order-7\n")

        serve()

        result = call("result", "order-7", *APP)
        assert (result.exit_code, result.stdout) == (0, '"TEA"\n')

    def test_an_id_is_drawn_and_told(self, call: Call) -> None:
        instance_id = json.loads(call("start", "echo", '"tea"', "--json").stdout)["instance_id"]

        assert state_of(call, instance_id) == "running"

    def test_it_says_that_nobody_works(self, call: Call) -> None:
        assert "no worker of queue 'mail' is running" in call("start", "echo", '"tea"', "--queue", "mail").stderr

    def test_options_are_kept(self, call: Call) -> None:
        options = ("--queue", "mail", "--priority", "3", "--tag", "a=b", "--delay", "1h", "--deadline", "2h")
        call("start", "echo", '"tea"', "--id", "order-7", *options)

        found = json.loads(call("show", "order-7", "--json").stdout)["instance"]
        assert (found["queue"], found["priority"], found["tags"]) == ("mail", 3, {"a": "b"})
        assert found["due_at"] > found["created_at"]
        assert found["deadline_at"] > found["due_at"]

    def test_arguments_by_name_need_the_app(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "arguments.json").write_text('{"text": "tea"}')

        result = call("start", "echo", "--input", str(tmp_path / "arguments.json"))

        assert result.exit_code == 2
        assert "name the App" in result.stderr


class TestWithTheApp:
    def test_arguments_are_checked(self, call: Call) -> None:
        result = call("start", "echo", "3", *APP)

        assert result.exit_code == 2
        assert "echo(): text: Expected `str`, got `int`" in result.stderr

    def test_arguments_become_what_the_annotations_say(self, call: Call) -> None:
        call("start", "order", '{"sku": "tea"}', "--id", "order-7", *APP)

        shown = json.loads(call("show", "order-7", "--history", "--json", *APP).stdout)
        assert shown["history"] == []  # nobody works: what was asked for is seen when it has begun
        again = call("start", "order", '{"sku": "tea", "count": 1}', "--id", "order-7", "--if-exists", "use", *APP)
        assert again.exit_code == 0  # the default was filled in, so this is the same call

    def test_arguments_come_by_name_from_a_file(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "arguments.json").write_text('{"text": "tea"}')

        assert call("start", "echo", "-i", str(tmp_path / "arguments.json"), *APP).exit_code == 0

    def test_an_unknown_workflow_is_told_with_those_that_are_known(self, call: Call) -> None:
        result = call("start", "ehco", '"tea"', *APP)

        assert result.exit_code == 2
        assert "no workflow 'ehco'; did you mean 'echo'? It has counting, echo, " in result.stderr
        assert "perdure:schedule" not in result.stderr


class TestWaiting:
    def test_the_result_is_written_and_the_id_beside_it(self, call: Call, serve: Serve) -> None:
        serve()

        result = call("start", "echo", '"tea"', "--id", "order-7", "--wait", *APP)

        assert (result.exit_code, result.stdout, result.stderr) == (0, '"TEA"\n', "order-7\n")

    def test_the_exit_code_tells_a_failure(self, call: Call, serve: Serve) -> None:
        serve()

        result = call("start", "failing", "--wait")

        assert result.exit_code == 3
        assert "failed: ValueError: no \\x1b[31mred\\x1b[0m text" in result.stderr

    def test_a_time_out_is_for_waiting(self, call: Call) -> None:
        result = call("start", "echo", '"tea"', "--timeout", "1s")

        assert result.exit_code == 2
        assert "--deadline is how long the instance may take" in result.stderr

    def test_what_still_runs_after_it_goes_on(self, call: Call) -> None:
        result = call("start", "echo", '"tea"', "--id", "order-7", "--wait", "--timeout", "0s")

        assert result.exit_code == 6
        assert "It is still running, and goes on." in result.stderr
        assert state_of(call, "order-7") == "running"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["echo", "tea"], "'tea' isn't JSON"),
        (["echo", "tea"], "A text is written with its quotes, as in '\"tea\"'"),
        (["echo", "1", "--input", "pyproject.toml"], "not both"),
        (["echo", "--input", "pyproject.toml"], "isn't JSON"),
        (["echo", "--input", "nowhere.json"], "does not exist"),
        (["perdure:schedule"], "one of perdure's own workflows"),
        (["echo", "--id", "x" * 300], "it must have 1 to 255"),
        (["echo", "--delay", "soon"], "write it as in 30d"),
        (["echo", "--tag", "red"], "isn't NAME=VALUE"),
    ],
)
def test_a_wrong_start_says_what_to_do(call: Call, arguments: list[str], said: str) -> None:
    result = call("start", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr


def test_a_taken_id_says_which_option_decides(call: Call) -> None:
    call("start", "echo", '"tea"', "--id", "order-7")

    result = call("start", "echo", '"tea"', "--id", "order-7")

    assert result.exit_code == 1
    assert "Here that is --if-exists" in result.stderr


def test_arguments_come_from_standard_input(url: str) -> None:
    from click.testing import CliRunner

    from perdure.cli.commands import perdure

    command = ["start", "echo", "--input", "-", "--store", url, *APP]
    assert CliRunner().invoke(perdure, command, input='["tea"]').exit_code == 0
    assert CliRunner().invoke(perdure, command, input='"tea"').exit_code == 2
