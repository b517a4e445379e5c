"""`perdure ui`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import app, pick
from tests.diagnostics.web.html import Html

APP = "tests.diagnostics.views.programs:app"
COMMAND = [sys.executable, "-m", "perdure", "ui"]
ROOT = Path(__file__).parents[3]
WITHOUT_OURS = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE")}


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    async with Orchestrator(url, app) as perdure:
        await perdure.run(pick.with_options(instance_id="one"), "x")
    return url


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, str, IO[str]]]:
    """The address, what was said, and what is said later."""
    process = subprocess.Popen([*COMMAND, "--port", "0", *arguments], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.match(r"http://\S+", said)
        assert found, said + process.stderr.read()
        yield found[0], said, process.stderr
    finally:
        process.send_signal(signal.SIGINT)
        with process.stderr:
            rest = process.stderr.read()
        assert process.wait(timeout=30) == 0, rest
        assert "Traceback" not in rest


def test_it_serves_a_store_for_reading_alone(url: str) -> None:
    with served(url, "--app", APP) as (address, said, _):
        page = httpx.get(address)

        assert "Read-only" in said
        assert "one" in [each.text for each in Html(page.text).all("a", class_="id")]
        assert "server" not in page.headers
        assert httpx.get(f"{address}do/instance/one/remove").status_code == 403


def test_actions_can_be_allowed_and_are_logged(url: str) -> None:
    with served("--store", url, "--allow-actions") as (address, said, log), httpx.Client() as browser:
        assert "Actions are allowed" in said
        question = browser.get(f"{address}do/instance/one/remove")
        token = Html(question.text).one("input", name="token").attributes["value"]
        done = browser.post(question.url, data={"token": token}, headers={"origin": address.rstrip("/")})
        assert done.status_code == 303
        assert "remove instance 'one': done" in log.readline()


def test_it_answers_to_its_own_names_alone(url: str) -> None:
    with served(url, "--allow-host", "ops.test") as (address, *_):
        statuses = {
            host: httpx.get(address, headers={"host": host}).status_code
            for host in ("127.0.0.1:80", "localhost", "[::1]:8484", "Ops.Test", "evil.test", "localhost.evil.test", "")
        }

    assert statuses == {
        "127.0.0.1:80": 200, "localhost": 200, "[::1]:8484": 200, "Ops.Test": 200, "evil.test": 400, "localhost.evil.test": 400, "": 400,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no store was named"),
        (["sqlite:///nowhere.db"], "there is no store sqlite:///nowhere.db"),
        (["nonsense"], "nonsense"),
        (["memory://"], "a memory store lives and dies in one process"),
        (["sqlite:///nowhere.db", "--app", "nowhere"], "write module:attribute"),
        (["sqlite:///nowhere.db", "--host", "192.0.2.1"], "can't listen on 192.0.2.1"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path, env=WITHOUT_OURS)

    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
