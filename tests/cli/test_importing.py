"""`history import`: a saved history becomes an instance, to look at or to run on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from perdure.orchestrator import SyncOrchestrator
from tests.cli.conftest import Call, Serve
from tests.cli.orders import echo, secretive
from tests.replay import programs
from tests.replay.filling import fill

APP = ("--app", "tests.cli.orders:app")


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """Another store's URL."""
    return f"sqlite:///{tmp_path / 'elsewhere.db'}"


@pytest.fixture
def there(call: Call, elsewhere: str) -> Call:
    """Run a command on the other store."""
    call("migrate", store=elsewhere)
    return lambda *arguments: call(*arguments, store=elsewhere)


def exported(call: Call, instance_id: str, folder: Path) -> str:
    file = folder / f"{instance_id}.json"
    assert call("history", "export", instance_id, "--output", str(file)).exit_code == 0
    return str(file)


def shown(call: Call, instance_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("show", instance_id, "--history", "--json").stdout)
    return found


class TestOneThatHasEnded:
    @pytest.fixture(params=["echo", "failing", "waiting", "terminated"])
    def file(self, request: pytest.FixtureRequest, call: Call, serve: Serve, tmp_path: Path) -> str:
        call("migrate")
        if request.param == "echo":
            call("start", "echo", '"tea"', "--id", "order-7")
        elif request.param == "failing":
            call("start", "failing", "--id", "order-7")
        else:
            call("start", "waiting", "--id", "order-7")
        if request.param == "waiting":
            call("cancel", "order-7")
        serve()
        if request.param == "terminated":
            while shown(call, "order-7")["instance"]["history_length"] < 1:
                pass
            call("terminate", "order-7", "--reason", "no tea left")
        call("wait", "order-7")
        return exported(call, "order-7", tmp_path)

    def test_it_is_there_again_with_its_end(self, call: Call, there: Call, file: str) -> None:
        imported = there("history", "import", file)

        before, after = shown(call, "order-7"), shown(there, "order-7")
        assert (imported.exit_code, imported.stdout) == (0, f"order-7: imported, {before['instance']['state']}\n")
        assert after["history"] == before["history"]
        assert after["outcome"] == before["outcome"]
        for same in ("state", "workflow", "queue", "execution_id", "created_at"):
            assert after["instance"][same] == before["instance"][same]
        assert there("result", "order-7", "--json").stdout == call("result", "order-7", "--json").stdout

    def test_it_is_replayed_as_the_first_one(self, there: Call, file: str) -> None:
        there("history", "import", file)
        there("history", "import", file, "--id", "again")

        result = there("replay", "tests.cli.orders:app")

        assert (result.exit_code, result.stdout) == (0, "The code repeats all 2 histories.\n")

    def test_it_is_removed_like_any_other(self, there: Call, file: str) -> None:
        there("history", "import", file)

        assert there("remove", "order-7").exit_code == 0
        assert there("history", "import", file).exit_code == 0

    def test_an_id_that_is_taken_is_refused(self, call: Call, file: str) -> None:
        result = call("history", "import", file)

        assert result.exit_code == 1
        assert "give the import another id (--id), or remove that one" in result.stderr
        assert call("history", "import", file, "--id", "again").exit_code == 0

    def test_it_cannot_run_on(self, there: Call, file: str) -> None:
        result = there("history", "import", file, "--run-on", *APP)

        assert result.exit_code == 2
        assert "so it can't run on. Import it as it is; then fork it, or rewind it" in result.stderr


def test_what_codecs_keep_closed_stays_closed(call: Call, there: Call, url: str, tmp_path: Path) -> None:
    with SyncOrchestrator(url, secretive) as perdure:
        perdure.run(echo.with_options(instance_id="order-7"), "tea")

    assert there("history", "import", exported(call, "order-7", tmp_path)).exit_code == 0

    assert there("result", "order-7").exit_code == 1
    assert there("result", "order-7", "--app", "tests.cli.orders:secretive").stdout == '"TEA"\n'


class TestOneThatWasRunning:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path / 'orders.db'}"
        asyncio.run(fill(url, 4))
        return url

    @pytest.fixture
    def file(self, call: Call, tmp_path: Path) -> str:
        return exported(call, "far-00001", tmp_path)

    def test_it_stands_still_and_says_so(self, there: Call, file: str, elsewhere: str) -> None:
        imported = there("history", "import", file)

        assert "imported to be looked at: it is suspended" in imported.stdout
        instance = shown(there, "far-00001")["instance"]
        assert (instance["state"], instance["suspended"]) == ("running", True)
        assert "`perdure history import --run-on`" in instance["stuck"]["reason"]
        assert there("replay", "tests.replay.programs:app").exit_code == 0

    def test_a_worker_leaves_it_alone_and_it_is_terminated_and_removed(
        self, there: Call, file: str, elsewhere: str
    ) -> None:
        there("history", "import", file)
        with SyncOrchestrator(elsewhere, programs.app) as perdure:
            perdure.run(programs.bystander.with_options(start_signal=programs.go(None)))
            assert perdure.info("far-00001").history_length == 7
        assert there("terminate", "far-00001").exit_code == 0
        assert there("remove", "far-00001").exit_code == 0

    def test_it_can_be_forked_from_there(self, there: Call, file: str, elsewhere: str) -> None:
        there("history", "import", file)

        forked = there("fork", "far-00001", "--at", "2", "--new-id", "again", "--app", "tests.replay.programs:app")

        assert (forked.exit_code, forked.stdout) == (0, "again\n")

    def test_it_runs_on_with_the_code(self, there: Call, file: str, elsewhere: str) -> None:
        imported = there("history", "import", file, "--run-on", "--app", "tests.replay.programs:app")

        assert (imported.exit_code, imported.stdout) == (0, "far-00001: imported, and goes on\n")
        assert shown(there, "far-00001")["instance"]["suspended"] is False

    def test_to_run_on_needs_the_code(self, there: Call, file: str) -> None:
        result = there("history", "import", file, "--run-on")

        assert result.exit_code == 2
        assert "to run on, the code is needed" in result.stderr


class TestRefused:
    def test_what_no_worker_had_seen(self, call: Call, there: Call, tmp_path: Path) -> None:
        call("migrate")
        call("start", "waiting", "--id", "order-7")

        result = there("history", "import", exported(call, "order-7", tmp_path))

        assert result.exit_code == 2
        assert "no worker had seen the instance yet" in result.stderr

    def test_an_execution_that_continued_as_new(self, call: Call, there: Call, serve: Serve, tmp_path: Path) -> None:
        call("migrate")
        call("start", "counting", "1", "--id", "order-7")
        perdure = serve()
        call("wait", "order-7")
        (tmp_path / "first.json").write_bytes(
            perdure.export_history("order-7", execution_id=perdure.executions("order-7")[0].execution_id).to_json()
        )

        result = there("history", "import", str(tmp_path / "first.json"))

        assert result.exit_code == 2
        assert "an execution that continued as new" in result.stderr
        assert there("history", "import", exported(call, "order-7", tmp_path)).exit_code == 0

    def test_a_file_that_is_no_history(self, there: Call, tmp_path: Path) -> None:
        (tmp_path / "no.json").write_text("{}")

        result = there("history", "import", str(tmp_path / "no.json"))

        assert result.exit_code == 1
        assert "this isn't a saved history" in result.stderr

    def test_one_id_for_two(self, there: Call, tmp_path: Path) -> None:
        (tmp_path / "no.json").write_text("{}")
        file = str(tmp_path / "no.json")

        assert there("history", "import", file, file, "--id", "again").exit_code == 2
