"""What commands write: JSON, tables, and lines with colours.

A person at a terminal gets rich's, if it is installed. Whatever else reads it, and who has no rich, gets plain text; nothing is cut
off in that. rich minds NO_COLOR itself.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click
import msgspec

from perdure.cli.shown import escaped, printable

_GAP = "  "
_COLOURS = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "terminated": "red",
    "cancelled": "yellow",
    "lost": "red",
    "paused": "yellow",
}

Line = Sequence[tuple[str, str]]
"""Pieces of text, each with a style of rich's; "" is none."""


def is_seen() -> bool:
    """Whether what is written goes to a person."""
    return sys.stdout.isatty()


def terminal_width() -> int | None:
    """None where nothing is cut off."""
    return shutil.get_terminal_size().columns if is_seen() else None


def encoding() -> str:
    """What the output can show."""
    return sys.stdout.encoding or "ascii"


def print_json(data: object) -> None:
    click.echo(escaped(msgspec.json.format(msgspec.json.encode(data), indent=2).decode()))


def print_json_line(data: object) -> None:
    """One of a stream: a reader has it at once."""
    click.echo(escaped(msgspec.json.encode(data).decode()))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head."""
    clean = [[printable(cell) for cell in row] for row in rows]
    if not (is_seen() and _print_rich(head, clean)):
        for line in table_lines(head, clean):
            click.echo(line)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair to a line."""
    for line in fact_lines(facts):
        click.echo(line)


def print_lines(lines: Sequence[Line]) -> None:
    """Print what has its colours in it already."""
    if is_seen():
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            pass
        else:
            console = Console(highlight=False)
            for line in lines:
                console.print(Text.assemble(*line), soft_wrap=True)
            return
    for line in lines:
        click.echo("".join(text for text, _ in line).rstrip())


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns."""
    lines = [[cell.upper() for cell in head], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def fact_lines(facts: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in facts)
    return [f"{name.ljust(width)}{_GAP}{printable(value)}" for name, value in facts]


def _print_rich(head: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether rich is there."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=place < 2)  # what names a row, and how it stands
    for row in rows:  # Text, not str: ids may look like rich's markup
        table.add_row(*(Text(cell, style=_COLOURS.get(cell.partition(" ")[0], "")) for cell in row))
    Console().print(table)
    return True
