"""What the tests of the SQLite store share."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.backends.sqlite.tables import connection_of
from perdure.backends.unit.chore import Chore
from perdure.testing.conformance import StoreUnderTest


async def no_advance(seconds: float) -> None:
    raise AssertionError("these tests live in real time")


@asynccontextmanager
async def opened(path: Path | str, **options: Any) -> AsyncIterator[StoreUnderTest]:
    """A store with the machine's clock."""
    backend = SqliteBackend(str(path), SqliteOptions(**options))
    await backend.open()
    try:
        yield StoreUnderTest(backend, advance=no_advance, is_clock_manual=False)
    finally:
        await backend.close()


def commits(store: StoreUnderTest) -> int:
    assert isinstance(store.backend, SqliteBackend)
    return store.backend.commits


@asynccontextmanager
async def busy_writer(store: StoreUnderTest) -> AsyncIterator[None]:
    """Within it the writer is at work with something that changes nothing: what is asked meanwhile comes to it together."""
    backend = store.backend
    assert isinstance(backend, SqliteBackend)
    has_begun, may_end = threading.Event(), threading.Event()

    def work(_: object) -> None:
        has_begun.set()
        may_end.wait(20)

    working = backend._at_desk.submit(Chore(work))
    assert await asyncio.to_thread(has_begun.wait, 20)
    try:
        yield
    finally:
        may_end.set()
        await working


async def traced(store: StoreUnderTest) -> list[str]:
    """A list to which every statement of the writing connection is added from now on.

    The next transition waits for company: one that follows a lonely one would go over alone.
    """
    statements: list[str] = []
    backend = store.backend
    assert isinstance(backend, SqliteBackend)
    await asyncio.gather(
        *(backend._write(lambda unit: connection_of(unit).set_trace_callback(statements.append)) for _ in range(3))
    )
    statements.clear()
    return statements


_PRELUDE = """
import asyncio, os, sys
from pathlib import Path
from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.errors import *
from perdure.model.transition import *
from perdure.testing.conformance import StoreUnderTest, builders
from tests.backends.sqlite_helpers import opened
path = sys.argv[1]
"""


def start_program(code: str, path: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Another process that has `path` and runs `async def main()` of the code."""
    source = f"{_PRELUDE}\n{code}\nasyncio.run(main())\n"
    return subprocess.Popen(
        [sys.executable, "-c", source, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        **options,
    )


def run_program(code: str, path: Path, *arguments: str, **options: Any) -> str:
    """What the program prints."""
    program = start_program(code, path, *arguments, **options)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    return out
