"""The result as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from examples.code_census.model import Census, Counts, PackageCensus

COLUMNS = [field.name for field in fields(Counts)]
LONGEST_TABLE = 20


def report(census: Census) -> str:
    """The largest packages, their sum, and every file that could not be counted."""
    return "\n".join(_lines(census)) + "\n"


def _lines(census: Census) -> Iterator[str]:
    by_size = sorted(census.packages, key=lambda package: (-package.counts.lines, package.name))
    yield f"Census of {census.folder}: {len(by_size)} packages"
    yield ""
    yield from _table([_row(package.name, package.counts) for package in _shortened(by_size)], census.total)
    yield ""
    yield f"{len(census.unreadable)} files could not be counted" + (":" if census.unreadable else ".")
    yield from (f"  {line}" for line in census.unreadable)


def _shortened(packages: list[PackageCensus]) -> list[PackageCensus]:
    if len(packages) <= LONGEST_TABLE:
        return packages
    others = packages[LONGEST_TABLE:]
    rest = PackageCensus(f"({len(others)} others)", sum((each.counts for each in others), Counts()), [])
    return [*packages[:LONGEST_TABLE], rest]


def _table(rows: list[list[str]], total: Counts) -> Iterator[str]:
    head = ["package", *COLUMNS]
    everything = [head, *rows, _row("total", total)]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    rule = "  ".join("─" * width for width in widths)
    yield _line(head, widths)
    yield rule
    yield from (_line(row, widths) for row in rows)
    yield rule
    yield _line(everything[-1], widths)


def _row(name: str, counts: Counts) -> list[str]:
    return [name, *(f"{getattr(counts, column):,}" for column in COLUMNS)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return "  ".join([f"{name.strip():<{widths[0]}}", *numbers])
