"""How far something is that takes a while, shown to whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

OnProgress = Callable[[int, int], None]
"""Takes how many instances are done, and of how many."""


@contextmanager
def progress(*, is_silent: bool) -> Generator[OnProgress | None]:
    """rich's bar for a person, if rich is there; else a line at each tenth."""
    if is_silent:
        yield None
        return
    if sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
        except ImportError:
            pass
        else:
            with Progress(
                BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
            ) as bar:
                task = bar.add_task("instances", total=None)
                yield lambda done, total: bar.update(task, completed=done, total=total)
            return
    yield _Lines()


class _Lines:
    def __init__(self) -> None:
        self._tenths = 0

    def __call__(self, done: int, total: int) -> None:
        if done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            click.echo(f"{done:,} of {total:,} instances", err=True)
