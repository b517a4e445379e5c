"""Worker processes as an operator starts them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from perdure.client.client import Client

ROOT = Path(__file__).parents[2]
QUEUES = ("default", "limited", "free")


@asynccontextmanager
async def workers(url: str, number: int, *options: str) -> AsyncIterator[list[int]]:
    """The process ids of workers of `logged`, all of which have begun; at the end they stop gracefully."""
    async with Client(url) as client:
        processes = [start(url, *options) for _ in range(number)]
        try:
            while len((await client.stats()).workers) < number:
                assert all(process.poll() is None for process in processes)
                await asyncio.sleep(0.02)
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.terminate()
            said = [(await asyncio.to_thread(process.communicate, timeout=60))[1] for process in processes]
    assert {process.returncode for process in processes} <= {0, -signal.SIGKILL}, said


def start(url: str, *options: str) -> subprocess.Popen[str]:
    queues = [word for queue in QUEUES for word in ("--queue", queue)]
    words = ["worker", "tests.many_workers.logged:app", "--store", url, "--log-level", "error", *queues, *options]
    command = [sys.executable, "-W", "error", "-m", "perdure", *words]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
