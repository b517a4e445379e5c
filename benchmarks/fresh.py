"""Functions called in fresh processes: `python -m benchmarks.fresh MODULE:FUNCTION JSON` prints what it returned as JSON."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import benchmarks.stores  # noqa: F401 - makes all schemes known
from benchmarks.programs import ROOT
from perdure import App, Worker


def command(function: Callable[..., Awaitable[Any]], arguments: dict[str, Any]) -> list[str]:
    """What to start for a call of this function of a module."""
    target = f"{function.__module__}:{function.__qualname__}"
    return [sys.executable, "-m", "benchmarks.fresh", target, json.dumps(arguments)]


async def call(function: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
    """Call a function of a module in a fresh process, and wait for what it returns."""
    process = await asyncio.create_subprocess_exec(*command(function, arguments), stdout=subprocess.PIPE, cwd=ROOT)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{function.__qualname__} ended with {process.returncode}")
    return json.loads(output.splitlines()[-1])


@asynccontextmanager
async def worker_processes(number: int, app: str, store: str) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """So many workers, each in a process of its own; they end gracefully with the block. `app` is `module:name`."""
    arguments = {"app": app, "store": store}
    begun = command(work, arguments)
    processes = [
        await asyncio.create_subprocess_exec(*begun, stdout=subprocess.DEVNULL, cwd=ROOT) for _ in range(number)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(process.wait() for process in processes))


async def work(app: str, store: str) -> None:
    """Be a worker until SIGTERM."""
    found = _find(app)
    assert isinstance(found, App)
    await Worker(store, found).run_forever()


def _find(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def main(target: str, arguments: str) -> None:
    """Call it and print the outcome."""
    print(json.dumps(asyncio.run(_find(target)(**json.loads(arguments)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
