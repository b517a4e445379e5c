"""One life with the command line, on every store that several processes can share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.orchestrator import SyncOrchestrator
from tests import stores
from tests.cli.conftest import Call
from tests.cli.orders import app


@pytest.fixture(params=stores.as_parameters(stores.SHARED))
def url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    return empty_store(request.param)


def test_from_the_start_to_the_end_and_once_more(call: Call, url: str, tmp_path: Path) -> None:
    def done(*arguments: str, code: int = 0) -> str:
        result = call(*arguments)
        assert result.exit_code == code, result.output
        return result.stdout

    done("migrate")
    done("start", "echo", '"tea"', "--id", "order-7")
    for number in range(3):
        done("start", "waiting", "--id", f"waits-{number}", "--tag", "batch=1")
    done("schedule", "create", "nightly", "echo", '"cup"', "--every", "1h")
    with SyncOrchestrator(url, app):
        assert done("result", "order-7") == '"TEA"\n'
        run = done("schedule", "trigger", "nightly", "--app", "tests.cli.orders:app").strip()
        assert json.loads(done("wait", run, "--json")) == [{"instance_id": run, "state": "completed"}]
        done("signal", "waits-0", "go")
        done("terminate", "--tag", "batch=1", "--id-prefix", "waits-1")
        done("cancel", "waits-2", "--reason", "enough")
        assert "3 of 3 ended" in done("watch", "--tag", "batch=1", code=5).splitlines()[-1]
        assert done("watch", "waits-2", code=4).splitlines()[-1] == "waits-2 was cancelled"
        assert json.loads(done("stats", "--json"))["instances"]["terminated"] == 1
    assert "Did you mean 'order-7'?" in call("show", "order-8").stderr

    saved = str(tmp_path / "order-7.json")
    before = done("show", "order-7", "--history", "--json")
    done("history", "export", "order-7", "-o", saved)
    done("remove", "order-7")
    done("history", "import", saved)
    assert json.loads(done("show", "order-7", "--history", "--json"))["history"] == json.loads(before)["history"]
    assert "2 histories" in done("replay", "tests.cli.orders:app", "--workflow", "echo")
