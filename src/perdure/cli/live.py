"""A picture on a terminal that changes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from perdure.cli.tables import Line, is_seen

Draw = Callable[[Sequence[Line]], None]
"""Takes all lines of the picture."""


def has_picture() -> bool:
    """Whether somebody sees it, and rich is there to draw."""
    return is_seen() and find_spec("rich") is not None


@contextmanager
def picture() -> Generator[Draw]:
    """The last one stays. Only where it `has_picture`."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:

        def draw(lines: Sequence[Line]) -> None:
            live.update(Text("\n").join(Text.assemble(*line) for line in lines), refresh=True)

        yield draw
