"""Tables on a terminal: rich's if it is installed, aligned columns otherwise and wherever the output goes to a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from perdure.cli.shown import printable

_GAP = "  "
_COLOURS = {"running": "cyan", "completed": "green", "failed": "red", "terminated": "red", "cancelled": "yellow"}


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head. Nothing is cut off unless a person is reading."""
    clean = [[printable(cell) for cell in row] for row in rows]
    if not (sys.stdout.isatty() and _print_rich(head, clean)):
        _print_plain(head, clean)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair to a line."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        click.echo(f"{name.ljust(width)}{_GAP}{printable(value)}")


def _print_plain(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[cell.upper() for cell in head], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


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
