"""B7: machines whose clocks are an hour off, or jump, work together with others: what counts is the store's time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.client.client import Client
from tests.network.timed import steps
from tests.worker.support import until_async

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("clocks", [("3600", "-3600"), ("jumps", "0")], ids=["an hour off", "jumping"])
async def test_wrong_clocks_harm_nobody(server_store_url: str, clocks: tuple[str, str]) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    try:
        async with Client(server_store_url) as client:
            for clock in clocks:
                command = [sys.executable, "-m", "tests.network.skewed_worker", server_store_url, clock]
                processes.append(subprocess.Popen(command, cwd=ROOT))

            async def are_alive() -> bool:
                return sum(each.is_alive for each in (await client.stats()).workers) == 2

            await until_async(are_alive, seconds=20)
            handles = [await client.start(steps, number) for number in range(40)]
            results = await asyncio.gather(*(handle.result(timeout=30) for handle in handles))

            for number, (attempts, seconds) in enumerate(results):
                assert attempts == (6 if number % 2 else 3)  # no attempt was lost, nor made too early
                assert 0.6 <= seconds < 30
            assert await are_alive()
    finally:
        for process in processes:
            process.terminate()
            process.wait()
