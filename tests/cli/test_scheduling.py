"""The `schedule` commands."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Call, Serve

APP = ("--app", "tests.cli.orders:app")


@pytest.fixture(autouse=True)
def nightly(call: Call) -> None:
    call("migrate")
    made = call("schedule", "create", "nightly", "echo", '"tea"', "--cron", "30 2 * * *", "--timezone", "Europe/Berlin")
    assert (made.exit_code, made.stdout) == (0, "nightly: starts echo 30 2 * * * (Europe/Berlin)\n")


def status(call: Call) -> dict[str, object]:
    found: dict[str, object] = json.loads(call("schedule", "show", "nightly", "--json", *APP).stdout)
    return found


def test_it_is_listed(call: Call) -> None:
    line = call("schedule", "list").stdout.splitlines()[1]

    assert line.split()[:7] == ["nightly", "30", "2", "*", "*", "*", "(Europe/Berlin)"]
    assert [each["schedule"]["id"] for each in json.loads(call("schedule", "list", "--json").stdout)] == ["nightly"]


def test_it_is_changed_by_making_it_again(call: Call, serve: Serve) -> None:
    options = ("--every", "90s", "--overlap", "allow", "--catch-up", "0s", "--from", "2100-01-01", "--queue", "mail")

    assert call("schedule", "create", "nightly", "echo", '"cup"', *options, *APP).exit_code == 0

    serve()
    while status(call)["next_due_at"] != "2100-01-01T00:00:00.000Z":
        pass
    shown = call("schedule", "show", "nightly", *APP).stdout
    assert "when      every 1 m 30 s\n" in shown
    assert "overlap   allow\n" in shown


def test_it_is_paused_and_goes_on(call: Call, serve: Serve) -> None:
    serve()
    assert call("schedule", "pause", "nightly").stdout == "nightly: paused\n"
    while not status(call)["is_paused"]:
        pass
    assert "next      paused\n" in call("schedule", "show", "nightly", *APP).stdout

    assert call("schedule", "resume", "nightly", "--json").exit_code == 0
    while status(call)["is_paused"]:
        pass


def test_a_run_is_started_now(call: Call, serve: Serve) -> None:
    serve()
    run = call("schedule", "trigger", "nightly", *APP).stdout.strip()

    assert run.startswith("nightly@")
    assert call("result", run, *APP).stdout == '"TEA"\n'


def test_it_is_deleted(call: Call) -> None:
    assert call("schedule", "delete", "nightly").stdout == "nightly: deleted\n"

    listed = call("schedule", "list")
    assert (listed.exit_code, listed.stderr) == (0, "There are no schedules.\n")


@pytest.mark.parametrize("command", ["show", "pause", "resume", "trigger", "delete"])
def test_an_unknown_schedule_says_where_those_are_that_there_are(call: Call, command: str) -> None:
    result = call("schedule", command, "daily")

    assert result.exit_code == 1
    assert "there is no schedule 'daily' in this store: `perdure schedule list`" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give either --cron or --every"),
        (["--cron", "@daily", "--every", "1h"], "give either --cron or --every"),
        (["--cron", "* * *"], "It has five fields"),
        (["--cron", "* * * * *", "--timezone", "Berlin"], "a name such as 'Europe/Berlin'"),
        (["--every", "0s"], "must be 1 second or longer"),
        (["--every", "1m", "--overlap", "often"], "'often' is not one of"),
    ],
)
def test_a_wrong_schedule_says_what_to_do(call: Call, options: list[str], said: str) -> None:
    result = call("schedule", "create", "daily", "echo", '"tea"', *options)

    assert result.exit_code == 2
    assert said in result.stderr


def test_what_codecs_keep_closed_says_what_opens_it(call: Call, serve: Serve) -> None:
    call("schedule", "create", "nightly", "echo", '"' + "tea" * 100 + '"', "--every", "1h", *APP)
    serve()
    while status(call)["next_due_at"] is None:
        pass

    assert "--app MODULE:APP" in call("schedule", "trigger", "nightly").stderr
