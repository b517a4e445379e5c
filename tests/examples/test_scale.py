"""The starter and its workers are real processes, as they would be on many machines."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perdure import Client, State

ROOT = Path(__file__).parents[2]
DONE = re.compile(r"(\d+)\. \S+:(\d+): ([\d,]+) steps")
SECONDS = 120

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def scale(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "examples.scale", *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_by_worker(output: str) -> dict[int, int]:
    return {int(pid): int(steps.replace(",", "")) for _, pid, steps in DONE.findall(output)}


def test_every_order_ends_and_every_worker_does_a_share() -> None:
    with scale("--workers", "2", "--workflows", "500", "--in-flight", "100") as starter:
        output, errors = starter.communicate(timeout=SECONDS)

    assert starter.returncode == 0, errors
    assert output.startswith("500 workflows with 1,000 steps in ")
    steps = steps_by_worker(output)
    assert sum(steps.values()) == 1000
    assert len(steps) == 2


def test_a_worker_that_is_killed_is_replaced_and_every_order_ends(shared_store_url: str) -> None:
    with scale("--store", shared_store_url, "--workers", "2", "--lease", "3", "--workflows", "3000") as starter:
        assert starter.stderr is not None
        killed = next(int(line.split(":")[1]) for line in starter.stderr if line.startswith("Worker "))
        asyncio.run(until_some_have_ended(shared_store_url))
        os.kill(killed, signal.SIGKILL)
        output, errors = starter.communicate(timeout=SECONDS)

    assert starter.returncode == 0, errors
    assert f"Worker process {killed} was killed by SIGKILL" in errors
    assert sum(steps_by_worker(output).values()) == 6000


async def until_some_have_ended(url: str) -> None:
    async with asyncio.timeout(SECONDS), Client(url) as client:
        while (await client.count()).get(State.COMPLETED, 0) < 300:
            await asyncio.sleep(0.01)


def test_workers_that_cant_begin_end_the_starter() -> None:
    with scale("--store", "memory://", "--workers", "2") as starter:
        output, errors = starter.communicate(timeout=SECONDS)

    assert (starter.returncode, output) == (2, "")
    assert "a memory store lives and dies in one process" in errors
