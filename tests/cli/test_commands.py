from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from perdure.cli.commands import perdure
from perdure.errors import WorkflowFailed
from perdure.orchestrator import Orchestrator
from tests.cli.conftest import Call
from tests.cli.orders import echo, failing, secretive, waiting

ROOT = Path(__file__).parents[2]
Work = Callable[[Callable[[Orchestrator], Awaitable[Any]]], None]


@pytest.fixture
def three(work: Work) -> None:
    """An instance that completed, one that failed and one that waits, in this order."""

    async def start(orchestrator: Orchestrator) -> None:
        tagged = echo.with_options(instance_id="done", tags={"team": "red"})
        await orchestrator.run(tagged, "a" * 200)
        with pytest.raises(WorkflowFailed):
            await orchestrator.run(failing.with_options(instance_id="failed"))
        handle = await orchestrator.start(waiting.with_options(instance_id="waits"))
        await handle.suspend()

    work(start)


@pytest.mark.usefixtures("three")
class TestList:
    def test_it_shows_instances_newest_first(self, call: Call) -> None:
        result = call("list")

        lines = [line.split() for line in result.output.splitlines()]
        assert result.exit_code == 0
        assert lines[0] == ["ID", "STATE", "WORKFLOW", "CREATED", "QUEUE"]
        assert [line[:2] for line in lines[1:]] == [["waits", "running"], ["failed", "failed"], ["done", "completed"]]
        assert "running (suspended)" in result.output

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--state", "running"], ["waits"]),
            (["--state", "failed", "--state", "completed"], ["failed", "done"]),
            (["--workflow", "echo"], ["done"]),
            (["--queue", "other"], []),
            (["--id-prefix", "fa"], ["failed"]),
            (["--id-contains", "ai"], ["waits", "failed"]),
            (["--tag", "team=red"], ["done"]),
            (["--tag", "team=blue"], []),
            (["--app-version", "7"], []),
            (["--created-from", "2100-01-01"], []),
            (["--created-to", "2100-01-01"], ["waits", "failed", "done"]),
            (["--updated-to", "2100-01-01", "--state", "running"], ["waits"]),
            (["--updated-to", "2000-01-01"], []),
            (["--suspended"], ["waits"]),
            (["--stuck"], []),
            (["--parent", "nobody"], []),
            (["--limit", "2"], ["waits", "failed"]),
        ],
    )
    def test_it_takes_filters(self, call: Call, options: list[str], expected: list[str]) -> None:
        result = call("list", "--json", *options)

        assert [instance["instance_id"] for instance in json.loads(result.output)] == expected

    def test_it_says_when_nothing_matches(self, call: Call) -> None:
        result = call("list", "--queue", "other")

        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "No instance matches.\n"


@pytest.mark.usefixtures("three")
class TestShow:
    def test_it_shows_where_an_instance_stands(self, call: Call) -> None:
        output = call("show", "waits").output

        assert "state      running (suspended)\n" in output
        assert "It is suspended: nothing new of it begins until it is resumed." in output
        assert "╍" in output
        assert "workflow   waiting\n" in output
        assert "History" not in output

    def test_it_shows_the_failure_without_what_a_terminal_would_obey(self, call: Call) -> None:
        output = call("show", "failed").output

        assert "failure    ValueError: no \\x1b[31mred\\x1b[0m text\n" in output
        assert "\x1b" not in output

    def test_it_writes_one_page_that_needs_nothing_else(self, call: Call) -> None:
        page = call("show", "done", "--html").output

        assert page.startswith("<!doctype html>")
        assert "<h1" in page
        assert "<script" not in page
        assert call("show", "done", "--html", "--history").exit_code == 2

    def test_it_shows_what_took_how_long(self, call: Call) -> None:
        lines = call("show", "done").output.splitlines()

        bars = [line for line in lines if "━" in line or "◆" in line]
        assert [bar.split()[0] for bar in bars] == ["echo", "1"]
        assert bars[1].split()[1] == "shout"

    def test_with_the_app_it_shows_the_line_that_it_waits_in(self, call: Call) -> None:
        call("resume", "waits")

        output = call("show", "waits", "--app", "tests.cli.orders:app").output

        assert "orders.py:" in output
        assert "await ctx.signal_channel(go).receive()" in output

    def test_it_opens_payloads_with_the_codecs_of_the_app(self, call: Call) -> None:
        assert "unreadable" in call("show", "done").output
        assert f'result     "{"A" * 200}"' in call("show", "done", "--app", "tests.cli.orders:app").output

    def test_it_opens_encrypted_payloads_and_blobs_with_the_app(self, call: Call, url: str) -> None:
        """The command line takes the App, and needs no codec server."""

        async def run() -> None:
            async with Orchestrator(f"{url}?blob_threshold=100", secretive) as orchestrator:
                await orchestrator.run(echo.with_options(instance_id="secret"), "a" * 200)

        asyncio.run(run())
        command = ("show", "secret", "--history", "--app", "tests.cli.orders:secretive")

        assert "kept apart: pass --blobs" in call(*command).output
        assert "A" * 200 not in call(*command).output
        shown = json.loads(call(*command, "--blobs", "--json").output)
        assert shown["outcome"]["result"] == "A" * 200
        assert shown["history"][0]["arguments"] == ["a" * 200]
        assert "the codec 'aes-gcm', which isn't configured here" in call("show", "secret", "--blobs").output

    def test_it_shows_the_history(self, call: Call) -> None:
        output = call("show", "done", "--history", "--app", "tests.cli.orders:app").output

        events = output.partition("History:\n\n")[2].splitlines()
        assert [event.split()[1] for event in events[1:]] == [
            "ExecutionStarted",
            "ActivityScheduled",
            "ActivityCompleted",
            "ExecutionCompleted",
        ]

    def test_it_writes_json(self, call: Call) -> None:
        shown = json.loads(call("show", "failed", "--history", "--json").output)

        assert shown["instance"]["state"] == "failed"
        assert shown["outcome"]["failure"]["types"][0] == "builtins:ValueError"
        assert [event["event"] for event in shown["history"]] == ["ExecutionStarted", "ExecutionFailed"]
        assert shown["history"][0]["arguments"] == []

    def test_an_unknown_id_is_an_error(self, call: Call) -> None:
        result = call("show", "nobody")

        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: there is no instance 'nobody'")


class TestMigrate:
    def test_it_creates_the_store_and_can_be_repeated(self, call: Call) -> None:
        for _ in range(2):
            result = call("migrate")
            assert result.exit_code == 0
            assert "is up to date" in result.output

        assert call("list").exit_code == 0


STORE = ("--store", "sqlite:///orders.db")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["worker", "tests.cli.orders:app"], "pass --store URL or set PERDURE_STORE"),
        (["list"], "pass --store URL or set PERDURE_STORE"),
        (["list", "--store", "orders.db"], "sqlite:///"),
        (["list", "--store", "oracle://host"], "no store has the scheme 'oracle'"),
        (["list", "--store", "memory://"], "a memory store lives and dies in one process"),
        (["list", "--store", "sqlite:///:memory:"], "a memory store lives and dies in one process"),
        (["list", "--store", "sqlite:///no/such.db"], "create the store with `perdure migrate"),
        (["show", "a", "--store", "sqlite:///no/such.db"], "create the store with `perdure migrate"),
        (["list", "--tag", "team"], "'team' isn't NAME=VALUE"),
        (["list", "--state", "gone"], "'gone' is not one of"),
        (["worker", "tests.cli.orders", *STORE], "write module:attribute"),
        (["worker", "tests.cli.orders:", *STORE], "write module:attribute"),
        (["worker", "no_such_module:app", *STORE], "there is no module 'no_such_module'"),
        (["worker", "tests.cli.no_such_module:app", *STORE], "there is no module 'tests.cli.no_such_module'"),
        (["worker", "tests.cli.orders:nothing", *STORE], "no attribute 'nothing'; it has tests.cli.orders:app"),
        (["worker", "tests.cli.orders:no_app", *STORE], "is a int, not a perdure.App; it has tests.cli.orders:app"),
        (["worker", "tests.cli.orders:app", "--processes", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_command_line_says_what_to_do_and_exits_with_2(call: Call, arguments: list[str], message: str) -> None:
    result = call(*arguments, store=None)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/shop", "mysql://127.0.0.1:1/shop", "redis://127.0.0.1:1/0"])
@pytest.mark.parametrize("command", [["list"], ["show", "order-7"], ["start", "echo"], ["migrate"], ["stats"]])
def test_a_server_that_cannot_be_reached_is_named(call: Call, url: str, command: list[str]) -> None:
    result = call(*command, store=url)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "127.0.0.1:1" in result.stderr
    assert "can't be reached: is its server running, and is the URL right?" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command", [["list"], ["show", "order-7"], ["cancel", "order-7"], ["schedule", "list"], ["stats"]]
)
def test_a_file_that_is_no_store_is_told(call: Call, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "letter.txt").write_text("Dear store, " * 1000)

    result = call(*command, store=f"sqlite:///{tmp_path / 'letter.txt'}")

    assert result.exit_code == 1
    assert "is no SQLite database or is damaged" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_app_of_a_worker_may_come_from_the_environment(url: str) -> None:
    environment = {"PERDURE_STORE": url, "PERDURE_APP": "tests.cli.orders"}

    result = CliRunner().invoke(perdure, ["worker"], env=environment)

    assert result.exit_code == 2
    assert "'tests.cli.orders' doesn't name an App" in result.stderr


def test_a_terminal_gets_colours_unless_it_says_no_color(call: Call, url: str) -> None:
    call("migrate")
    call("start", "echo", '"tea"', "--id", "order-7")

    assert "\x1b[36mrunning" in on_a_terminal("list", "--store", url, NO_COLOR="")
    plain = on_a_terminal("list", "--store", url, NO_COLOR="1")
    assert "running" in plain
    assert "\x1b[36m" not in plain


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a person sees."""
    seen, terminal = pty.openpty()
    surroundings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    subprocess.run([sys.executable, "-m", "perdure", *arguments], stdout=terminal, env=surroundings, cwd=ROOT)
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # so ends a terminal that nobody writes to any more
        while part := os.read(seen, 4096):
            shown += part
    os.close(seen)
    return shown.decode()


def test_looking_at_a_store_that_isnt_there_doesnt_create_it(call: Call, tmp_path: Path) -> None:
    assert call("list").exit_code == 2

    assert list(tmp_path.iterdir()) == []


def test_a_module_that_raises_shows_where(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_app.py").write_text("import no_such_thing\n")
    monkeypatch.chdir(tmp_path)

    result = call("worker", "broken_app:app")

    assert result.exit_code == 1
    assert 'broken_app.py", line 1' in result.stderr
    assert "No module named 'no_such_thing'" in result.stderr
    assert "importlib" not in result.stderr


def test_an_app_may_be_an_attribute_of_an_attribute(call: Call, work: Work) -> None:
    work(lambda orchestrator: orchestrator.run(echo.with_options(instance_id="done"), "a"))

    assert call("show", "done", "--app", "tests.cli.orders:Holder.app").exit_code == 0


def test_help_and_version_are_quick() -> None:
    program = "from perdure.cli import main; import sys; sys.argv[1:] = ['--help']; import atexit; atexit.register(lambda: print(*sys.modules)); main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    loaded = done.stdout.split()
    assert done.returncode == 0
    assert "Keep house:" in done.stdout
    assert {"rich", "asyncio", "msgspec", "sqlite3", "multiprocessing"}.isdisjoint(loaded)


def test_importing_the_command_line_loads_nothing_of_it() -> None:
    program = "import perdure.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert {"click", "rich", "asyncio", "multiprocessing"}.isdisjoint(loaded)
