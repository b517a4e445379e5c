"""Looking on: what the workflows publish, as a bar in a terminal, or as a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from examples.code_census.model import Census, Progress
from perdure import Client, Handle

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LOOKS_PER_SECOND = 10


class Display(Protocol):
    def show(self, done: int, of: int, note: str) -> None: ...


async def watch(client: Client, handle: Handle[Census], display: Display) -> None:
    """Show how far the census is, until it has ended."""
    ended = asyncio.create_task(handle.wait())
    try:
        while not ended.done():
            await asyncio.wait([ended], timeout=1 / LOOKS_PER_SECOND)
            await show(client, handle, display)
    finally:
        ended.cancel()


async def show(client: Client, handle: Handle[Census], display: Display) -> None:
    progress = await handle.read("progress", Progress, None)
    if progress is None:
        return
    parts = [await client.read(child, "done", int, 0) for child in progress.running.values()]
    note = "paused" if progress.is_paused else ", ".join(progress.running)
    display.show(progress.done + sum(parts), progress.files, note)


@contextmanager
def progress_display() -> Generator[Display]:
    """A bar if stderr is a terminal and rich is installed, else lines."""
    try:
        from rich.console import Console
        from rich.progress import Progress as Bar
    except ImportError:
        yield Lines()
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    with Bar(console=console, transient=True) as bar:
        yield RichBar(bar)


class Lines:
    """A line for each further tenth."""

    def __init__(self) -> None:
        self._next_tenth = 0

    def show(self, done: int, of: int, note: str) -> None:
        tenth = 10 * done // max(of, 1)
        if tenth >= self._next_tenth:
            self._next_tenth = tenth + 1
            print(f"{done:6} of {of} files  {note}", file=sys.stderr, flush=True)


class RichBar:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("")

    def show(self, done: int, of: int, note: str) -> None:
        self._bar.update(self._task, completed=done, total=of, description=f"{done} of {of} files  {note[:40]:40}")
