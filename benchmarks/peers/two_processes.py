"""Two processes of a peer on one store, half of the workflows each; from the first one's begin to the last one's end."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import measure
from benchmarks.peers.measure import Look, Open, Order, Stored

CASE = "two_workers"
PROCESSES = 2


def main(peer: str, opened: Open, stored: Look, words: list[str]) -> None:
    """Run it and print it."""
    print(json.dumps(measure_both(peer, opened, stored, measure.order_from(words))), flush=True)


def measure_both(peer: str, opened: Open, stored: Look, order: Order) -> dict[str, Any]:
    """Add up, and look at what both have left."""
    parts = asyncio.run(_parts(peer, opened, order))
    begun, ended = (part["began_at"] for part in parts), (part["began_at"] + part["seconds"] for part in parts)
    seconds = max(ended) - min(begun)
    count = sum(part["count"] for part in parts)
    problems = [problem for part in parts for problem in part["problems"]]
    expected = count + PROCESSES * measure.WARM_UP
    found = stored(order)
    if found != Stored(workflows=expected, completed=expected):
        problems.append(f"the store has {found}, not {expected} completed ones")
    return parts[0] | {
        "rate": round(count / seconds, 1),
        "seconds": round(seconds, 3),
        "count": count,
        "verified": not problems,
        "problems": problems,
        "settings": parts[0]["settings"] | {"processes": PROCESSES},
    }


async def _parts(peer: str, opened: Open, order: Order) -> list[dict[str, Any]]:
    """What both say; they begin when both are ready."""
    async with opened(order):
        """The tables are there."""
    processes = [await _begun(peer, order, f"w{number}") for number in range(PROCESSES)]
    for process in processes:
        await _ready(process)
    said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    if any(process.returncode for process in processes):
        raise SystemExit("one of the two processes failed")
    return [json.loads(output.splitlines()[-1]) for output, _ in said]


async def _begun(peer: str, order: Order, part: str) -> asyncio.subprocess.Process:
    numbers = ["--count", str(order.count // PROCESSES), "--in-flight", str(order.in_flight // PROCESSES)]
    words = [*numbers, "--folder", str(order.folder), "--store", order.store, "--part", part]
    program = [sys.executable, str(Path(__file__).with_name("run.py")), peer, "one_activity", *words]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe)


async def _ready(process: asyncio.subprocess.Process) -> None:
    """Read over the noise of libraries. Raises SystemExit if the process has ended."""
    assert process.stdout is not None
    while (line := await process.stdout.readline()).strip() != measure.READY.encode():
        if not line:
            raise SystemExit("one of the two processes ended before it was ready")
