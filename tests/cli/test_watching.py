"""`watch`: lines for whatever reads them, a picture for a person, and the end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Serve

ROOT = Path(__file__).parents[2]
APP = ("--app", "tests.cli.orders:app")


@pytest.fixture(autouse=True)
def store(call: Call) -> None:
    call("migrate")


def program(url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "perdure", "watch", *arguments, "--store", url]


class TestOne:
    def test_each_event_is_a_line_and_the_end_is_the_last(self, call: Call, serve: Serve) -> None:
        call("start", "echo", '"tea"', "--id", "order-7")
        serve()

        result = call("watch", "order-7", *APP)

        lines = result.stdout.splitlines()
        assert result.exit_code == 0
        assert [line.split()[1] for line in lines[:-1]] == [
            "ExecutionStarted",
            "ActivityScheduled",
            "ActivityCompleted",
            "ExecutionCompleted",
        ]
        assert lines[-1] == "order-7 completed"

    def test_json_says_in_each_line_what_it_is(self, call: Call, serve: Serve) -> None:
        call("start", "failing", "--id", "order-7")
        serve()

        result = call("watch", "order-7", "--json")

        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == 3
        assert [list(line) for line in lines] == [["event"], ["event"], ["outcome"]]
        assert lines[0]["event"]["event"] == "ExecutionStarted"
        assert lines[-1]["outcome"]["state"] == "failed"

    def test_events_are_told_while_it_runs(self, call: Call, serve: Serve, url: str) -> None:
        call("start", "waiting", "--id", "order-7")
        serve()
        with subprocess.Popen(program(url, "order-7"), stdout=subprocess.PIPE, text=True, cwd=ROOT) as watch:
            assert watch.stdout is not None
            assert "ExecutionStarted" in watch.stdout.readline()

            call("signal", "order-7", "go")

            assert "SignalReceived" in watch.stdout.readline()
            assert "ExecutionCompleted" in watch.stdout.readline()
            assert watch.stdout.readline() == "order-7 completed\n"
        assert watch.returncode == 0

    def test_a_continued_instance_is_followed(self, call: Call, serve: Serve) -> None:
        call("start", "counting", "3", "--id", "order-7", *APP)
        serve()
        assert call("result", "order-7").stdout == '"done"\n'

        watched = [json.loads(line) for line in call("watch", "order-7", "--json").stdout.splitlines()]

        assert watched[0]["event"]["execution_number"] == 4  # what was over before is in `show` and `history export`
        assert watched[-1]["outcome"]["result"] == "done"

    def test_ctrl_c_ends_the_watching_alone(self, call: Call, serve: Serve, url: str) -> None:
        call("start", "waiting", "--id", "order-7")
        serve()
        with subprocess.Popen(
            program(url, "order-7"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        ) as watch:
            assert watch.stdout is not None
            assert "ExecutionStarted" in watch.stdout.readline()
            watch.send_signal(signal.SIGINT)
            _, said = watch.communicate()
        assert watch.returncode == 130
        assert "Traceback" not in said
        assert json.loads(call("show", "order-7", "--json").stdout)["instance"]["state"] == "running"

    def test_a_person_sees_a_picture_that_changes(self, call: Call, serve: Serve, url: str) -> None:
        call("start", "waiting", "--id", "order-7")
        serve()
        seen, terminal = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100", "LINES": "50"}
        with subprocess.Popen(
            program(url, "order-7"), stdout=terminal, stderr=terminal, cwd=ROOT, env=environment
        ) as watch:
            os.close(terminal)
            shown = b""
            while b"running" not in shown:
                shown += os.read(seen, 4096)
            call("signal", "order-7", "go")
            while b"completed" not in shown:
                shown += os.read(seen, 4096)
        os.close(seen)
        assert watch.returncode == 0
        assert b"\x1b[36m" not in shown  # NO_COLOR

    def test_an_unknown_id_is_an_error(self, call: Call) -> None:
        assert call("watch", "nobody").exit_code == 1


class TestMany:
    def test_they_are_counted_until_none_runs(self, call: Call, serve: Serve, url: str) -> None:
        for number in range(3):
            call("start", "waiting", "--id", f"order-{number}", "--tag", "batch=1")
        serve()
        with subprocess.Popen(program(url, "--tag", "batch=1"), stdout=subprocess.PIPE, text=True, cwd=ROOT) as watch:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "0 of 3 ended: 3 running\n"
            call("signal", "order-0", "go")
            call("wait", "order-0")
            assert watch.stdout.readline() == "1 of 3 ended: 2 running, 1 completed\n"
            call("terminate", "order-1", "order-2", "--yes")
            assert watch.stdout.readlines()[-1] == "3 of 3 ended: 1 completed, 2 terminated\n"
        assert watch.returncode == 5

    def test_json_has_the_counts(self, call: Call) -> None:
        call("start", "waiting", "--id", "order-7")
        call("terminate", "order-7")
        call("schedule", "create", "nightly", "waiting", "--every", "1h")  # it would never end

        result = call("watch", "--queue", "default", "--json")

        assert json.loads(result.stdout) == {
            "counts": {"states": {"terminated": 1}, "ended": 1, "total": 1, "stuck": 0}
        }

    def test_nothing_to_watch_is_said(self, call: Call) -> None:
        result = call("watch", "--workflow", "other")

        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No instance matches.\n")

    def test_one_or_many_must_be_named(self, call: Call) -> None:
        assert call("watch").exit_code == 2
        assert call("watch", "order-7", "--workflow", "waiting").exit_code == 2
