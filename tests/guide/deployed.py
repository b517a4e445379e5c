"""Versions of a program, each in a folder of its own, run by `perdure worker` as they would be deployed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from perdure import App, Client, Context, Signal, workflow

ROOT = Path(__file__).parents[2]
go = Signal("go")

_PROGRAM = """
from perdure import App, Context, Signal, activity, workflow

go = Signal("go")


@activity
async def step(log: str, name: str) -> None:
    with open(log, "a") as file:
        file.write(f"{name} by {app.version}\\n")


@workflow
async def order(ctx: Context, log: str) -> None:
    await ctx.execute_activity(step, log, "pay")
    CHANGE
    await ctx.signal_channel(go).receive()
    await ctx.execute_activity(step, log, "ship")


app = App(workflows=[order], activities=[step], version=VERSION)
"""

_CHANGES = {
    "original": "",
    "changed": 'await ctx.execute_activity(step, log, "wrap")',
    "patched": 'if ctx.patched("with-a-bow"): await ctx.execute_activity(step, log, "wrap")',
    "deprecated": 'ctx.deprecate_patch("with-a-bow"); await ctx.execute_activity(step, log, "wrap")',
}


def write_program(folder: Path, change: str, version: str | None) -> Path:
    """A folder with the program in it."""
    place = folder / f"{change}-{version}"
    place.mkdir(exist_ok=True)
    program = _PROGRAM.replace("CHANGE", _CHANGES[change]).replace("VERSION", repr(version))
    (place / "shop.py").write_text(program)
    return place


@workflow
async def order(ctx: Context, log: str) -> None:
    """What the clients know of it."""
    raise NotImplementedError


def client_of(url: str, version: str | None = None) -> Client:
    """A client in a process of this version."""
    return Client(url, App(workflows=[order], version=version))


@asynccontextmanager
async def deployed(url: str, program: Path, *options: str) -> AsyncIterator[None]:
    """A worker process of the program, which has begun; at the end it stops gracefully."""
    words = ["worker", "shop:app", "--store", url, "--log-level", "error", *options]
    async with Client(url) as client:
        before = await _alive(client)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "perdure", *words], cwd=program, env=os.environ | _path()
        )
        try:
            while await _alive(client) <= before:
                assert process.poll() is None
                await asyncio.sleep(0.02)
            yield
        finally:
            process.terminate()
            code = await asyncio.to_thread(process.wait, 60)
    assert code == 0


def _path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}


async def _alive(client: Client) -> int:
    return sum(each.is_alive for each in (await client.stats()).workers)
