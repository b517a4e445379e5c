"""`signal`, `query`, `update`, `cancel`, `terminate`, `suspend`, `resume`, `retry`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.client.synchronous import SyncClient
from tests.cli.conftest import Call, Serve
from tests.cli.orders import waiting

ROOT = Path(__file__).parents[2]
APP = ("--app", "tests.cli.orders:app")


@pytest.fixture(autouse=True)
def three(call: Call) -> None:
    """Three that wait for a signal; no worker has seen them."""
    call("migrate")
    for number in (1, 2, 3):
        call("start", "waiting", "--id", f"waits-{number}", "--tag", f"number={number}")


def states(call: Call, *filters: str) -> dict[str, str]:
    found = json.loads(call("list", "--json", *filters).stdout)
    return {each["instance_id"]: each["state"] for each in found}


class TestSignal:
    def test_it_is_received(self, call: Call, serve: Serve) -> None:
        sent = call("signal", "waits-1", "go")
        assert (sent.exit_code, sent.stdout) == (0, "waits-1: the signal was sent\n")

        serve()

        assert call("result", "waits-1").stdout == "null\n"

    def test_its_value_is_json(self, call: Call) -> None:
        assert call("signal", "waits-1", "go", '{"by": "anna"}').exit_code == 0
        assert "isn't JSON" in call("signal", "waits-1", "go", "{by: anna}").stderr

    def test_a_second_one_of_a_key_is_the_first(self, call: Call, serve: Serve) -> None:
        for _ in range(2):
            assert call("signal", "waits-1", "go", "--key", "once").exit_code == 0
        call("signal", "waits-2", "other", "--key", "once")
        serve()
        assert call("result", "waits-1").exit_code == 0

        shown = json.loads(call("show", "waits-1", "--history", "--json").stdout)
        assert [each["event"] for each in shown["history"]].count("SignalReceived") == 1


class TestAsking:
    @pytest.fixture(autouse=True)
    def basket(self, call: Call, serve: Serve) -> None:
        call("start", "shopping", "--id", "basket")
        serve()

    def test_a_query_is_answered(self, call: Call) -> None:
        assert call("query", "basket", "size").stdout == '"0 items"\n'
        assert call("query", "basket", "size", '"pieces"').stdout == '"0 pieces"\n'

    def test_an_update_is_handled(self, call: Call) -> None:
        assert call("update", "basket", "put", '"tea"').stdout == "1\n"
        assert call("query", "basket", "size").stdout == '"1 items"\n'

    def test_what_it_has_no_handler_for_is_told_with_those_that_it_has(self, call: Call) -> None:
        call("update", "basket", "put", '"tea"')

        result = call("query", "basket", "weight")

        assert result.exit_code == 1
        assert "its workflow has size" in result.stderr


def test_a_query_that_nobody_answers_says_who_could(call: Call) -> None:
    result = call("query", "waits-1", "size", "--timeout", "0s")

    assert result.exit_code == 1
    assert "no live worker serves that queue: start one" in result.stderr


class TestMany:
    def test_a_filter_means_those_that_run(self, call: Call) -> None:
        call("terminate", "waits-1")

        result = call("suspend", "--workflow", "waiting")

        assert result.exit_code == 0
        assert set(states(call, "--suspended")) == {"waits-2", "waits-3"}
        assert call("resume", "--id-prefix", "waits").exit_code == 0
        assert states(call, "--suspended") == {}

    @pytest.mark.parametrize("command", ["cancel", "terminate"])
    def test_what_cannot_be_taken_back_is_done_to_many_only_if_somebody_says_yes(
        self, call: Call, command: str
    ) -> None:
        refused = call(command, "--workflow", "waiting")
        assert refused.exit_code == 2
        assert f"{command.capitalize()} 3 instances? Nobody is here to be asked: pass --yes" in refused.stderr
        assert set(states(call).values()) == {"running"}

        assert call(command, "--workflow", "waiting", "--yes").exit_code == 0

    def test_one_is_not_asked_about(self, call: Call) -> None:
        result = call("terminate", "--tag", "number=2", "--reason", "enough")

        assert (result.exit_code, result.stdout) == (0, "waits-2: terminated\n")
        assert states(call)["waits-2"] == "terminated"

    def test_each_is_told_and_the_exit_code_says_if_one_was_not_done(self, call: Call) -> None:
        call("terminate", "waits-1")

        result = call("terminate", "waits-1", "waits-2", "nobody", "--yes", "--json")

        assert result.exit_code == 1
        assert json.loads(result.stdout) == [
            {"instance_id": "waits-1", "is_done": True, "message": "terminated"},  # again is no fault
            {"instance_id": "waits-2", "is_done": True, "message": "terminated"},
            {"instance_id": "nobody", "is_done": False, "message": "no such instance"},
        ]

    def test_what_has_ended_takes_no_cancel(self, call: Call) -> None:
        call("terminate", "waits-1")

        assert "has ended (terminated)" in call("cancel", "waits-1").stderr
        assert "has ended" in call("cancel", "waits-1", "waits-2", "--yes").stdout

    def test_a_filter_does_not_mean_schedules(self, call: Call) -> None:
        call("schedule", "create", "nightly", "waiting", "--every", "1h")

        assert call("terminate", "--queue", "default", "--yes").exit_code == 0

        assert states(call, "--state", "running") == {"schedule:nightly": "running"}

    def test_a_hundred_are_no_more_trouble_than_one(self, call: Call, url: str) -> None:
        with SyncClient(url) as client:
            for _ in range(120):
                client.start(waiting)

        result = call("suspend", "--queue", "default")

        assert result.exit_code == 0
        assert "123 of 123 instances" in result.stderr
        assert len(states(call, "--suspended", "--limit", "1000")) == 123

    def test_nothing_to_do_is_said(self, call: Call) -> None:
        result = call("cancel", "--workflow", "other")

        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No running instance matches.\n")

    @pytest.mark.parametrize("command", ["cancel", "terminate", "suspend", "resume"])
    def test_all_of_them_must_be_asked_for(self, call: Call, command: str) -> None:
        assert "name instances by their ids, or by a filter" in call(command).stderr
        assert call(command, "waits-1", "--workflow", "waiting").exit_code == 2

    @pytest.mark.parametrize(("answer", "state"), [(b"y\n", "terminated"), (b"n\n", "running")])
    def test_a_person_is_asked(self, call: Call, url: str, answer: bytes, state: str) -> None:
        command = [sys.executable, "-m", "perdure", "terminate", "--workflow", "waiting", "--store", url]
        keyboard, terminal = pty.openpty()
        os.write(keyboard, answer)
        done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, cwd=ROOT)
        os.close(terminal)
        os.close(keyboard)

        assert "Terminate 3 instances? [y/N]" in done.stderr
        assert done.returncode == (0 if state == "terminated" else 1)
        assert set(states(call).values()) == {state}


class TestRetry:
    @pytest.fixture(autouse=True)
    def failed_once(self, call: Call, serve: Serve) -> None:
        """An activity that waits for an hour to be tried again."""
        call("start", "order", '{"sku": "tea"}', "--id", "order-7", *APP)
        serve()
        self.wait_for_attempt(call, 2)

    def wait_for_attempt(self, call: Call, attempt: int) -> None:
        while [each["attempt"] for each in json.loads(call("show", "order-7", "--json").stdout)["activities"]] != [
            attempt
        ]:
            pass

    def test_what_waits_is_tried_at_once(self, call: Call) -> None:
        result = call("retry", "order-7")

        assert (result.exit_code, result.stdout) == (0, "order-7: due now: activity 1 (pay)\n")
        self.wait_for_attempt(call, 3)

    def test_a_number_that_does_not_wait_is_told_with_those_that_do(self, call: Call) -> None:
        result = call("retry", "order-7", "5")

        assert result.exit_code == 1
        assert "activity 5 doesn't wait in 'order-7'; those that haven't ended: 1 (pay)" in result.stderr

    def test_nothing_waits(self, call: Call) -> None:
        assert "no activity waits in 'waits-1'" in call("retry", "waits-1").stderr
