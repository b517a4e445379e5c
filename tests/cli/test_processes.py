"""Real processes, really killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.moving import copy_store
from tests.cli.orders import app, echo, watching

ROOT = Path(__file__).parents[2]
BEGUN = re.compile(r"^Worker \S*:(\d+):\S* runs", re.MULTILINE)
SECONDS = 30

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class Command:
    """`perdure worker` as a process; what it says is read as it comes."""

    def __init__(self, url: str, *options: str) -> None:
        program = "from perdure.cli import main; main()"
        arguments = ["worker", "tests.cli.orders:app", "--store", url, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        self.said = ""
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.said += line
                self._heard.notify_all()

    def wait_until(self, holds: Callable[[str], object]) -> str:
        """Wait until what it said fulfils a condition."""
        with self._heard:
            assert self._heard.wait_for(lambda: holds(self.said), SECONDS), self.said
            return self.said

    def workers(self, count: int) -> list[int]:
        """The process ids of the workers, once so many have begun."""
        return [int(pid) for pid in BEGUN.findall(self.wait_until(lambda said: len(BEGUN.findall(said)) >= count))]

    def end(self) -> int:
        """Wait for its end, and that of all who hold its output."""
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert not self._reader.is_alive(), "a process is left"
        return code


@contextmanager
def command(url: str, *options: str) -> Iterator[Command]:
    running = Command(url, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.end()
        assert running.process.stderr is not None
        running.process.stderr.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'orders.db'}"


async def run_some(url: str) -> None:
    async with Client(url, app) as client:
        handles = [await client.start(echo, f"text {number}") for number in range(20)]
        for number, handle in enumerate(handles):
            assert await handle.result(timeout=SECONDS) == f"TEXT {number}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_k3_a_signal_stops_the_workers_gracefully(url: str, number: signal.Signals, processes: int) -> None:
    with command(url, "--processes", str(processes)) as running:
        running.workers(processes)
        asyncio.run(run_some(url))

        running.process.send_signal(number)

        assert running.end() == 0
        assert "Traceback" not in running.said


def test_k1_several_processes_share_the_work(url: str) -> None:
    with command(url, "--processes", "2") as running:
        pids = running.workers(2)
        asyncio.run(run_some(url))

        assert len({*pids, running.process.pid}) == 3


def test_k3_a_process_that_was_killed_is_started_again(url: str) -> None:
    with command(url, "--processes", "2") as running:
        killed = running.workers(2)[0]
        os.kill(killed, signal.SIGKILL)

        running.wait_until(lambda said: f"Worker process {killed} was killed by SIGKILL" in said)
        running.workers(3)
        asyncio.run(run_some(url))
        running.process.terminate()

        assert running.end() == 0


def test_a_worker_says_how_long_its_leases_are(url: str) -> None:
    with command(url, "--lease", "2.5") as running:
        running.workers(1)
        asyncio.run(run_some(url))

        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as store:
            assert store.execute("select lease from perdure_workers").fetchall() == [(2_500_000,)]


def test_w3_a_worker_with_a_guard_names_what_is_not_deterministic(url: str) -> None:
    async def run_one() -> None:
        async with Client(url, app) as client:
            await client.run(watching)

    with command(url, "--guard", "warn") as running:
        running.workers(1)
        asyncio.run(run_one())
        running.wait_until(lambda said: "watching uses time.time in a workflow, which replay can't repeat" in said)


def test_a_worker_can_run_one_kind_alone_and_certain_versions(url: str) -> None:
    with (
        command(url, "--only", "workflows", "--app-version", "1", "--app-version", "2") as workflows,
        command(url, "--only", "activities") as activities,
    ):
        for running in (workflows, activities):
            running.workers(1)
        asyncio.run(run_versions(url))


async def run_versions(url: str) -> None:
    for version in ("1", "3", "2"):
        async with Client(url, App(version=version, workflows=[echo])) as client:
            handle = await client.start(echo.with_options(instance_id=version), "a")
            if version != "3":
                assert await handle.result(timeout=SECONDS) == "A"
            else:
                assert {worker.activity_queues for worker in (await client.stats()).workers} == {(), ("default",)}
    async with Client(url) as client:
        assert [each.instance_id async for each in client.list(states=["running"])] == ["3"]


def test_processes_end_with_their_watch(url: str) -> None:
    with command(url, "--processes", "2") as running:
        running.workers(2)

        running.process.kill()

        assert running.end() == -signal.SIGKILL  # returns when the last of them has closed the output


@pytest.mark.parametrize("processes", [1, 2])
def test_b12_workers_of_a_store_that_was_moved_end_and_say_where_to(url: str, tmp_path: Path, processes: int) -> None:
    target = f"sqlite:///{tmp_path / 'new.db'}"
    with command(url, "--processes", str(processes)) as running:
        running.workers(processes)
        asyncio.run(run_some(url))

        asyncio.run(copy_store(url, target))

        assert running.end() == 1
        assert f"Error: The store was moved to {target}" in running.said
        assert "Traceback" not in running.said
        assert "the next one starts" not in running.said
