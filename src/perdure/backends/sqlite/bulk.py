"""Statements that write many rows at once.

CPython's sqlite3 gives the GIL away for each step of a statement and takes it back after it, which may take a switch
interval (5 ms) while another thread runs Python. `executemany` does so for each row; here a batch does it once for each
kind of change. Beside a busy event loop that is four times as fast, and alone still somewhat faster.

A statement's text has as many rows as it writes. It is made for a few sizes only, so that prepared statements are found
again, and filled up with rows of zeros, which are left out: no key is 0.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 224, 256)
"""Rows of the statements. With 41 columns the largest has a third of the parameters that SQLite allows."""

_LARGEST = SIZES[-1]


class Bulk:
    """One statement for any number of rows of `width` values, whose first is a key."""

    __slots__ = ("_pattern", "_row", "_texts", "width")

    def __init__(self, pattern: str, width: int) -> None:
        """`pattern` has `{}` where the rows go."""
        self.width = width
        self._pattern = pattern
        self._row = f"({', '.join('?' * width)})"
        self._texts: dict[int, str] = {}

    def text(self, size: int) -> str:
        """The statement for so many rows."""
        found = self._texts.get(size)
        if found is None:
            found = self._texts[size] = self._pattern.format(", ".join([self._row] * size))
        return found

    def write(self, connection: sqlite3.Connection, values: list[Any]) -> int:
        """Write rows, whose values stand one behind the other; how many there were."""
        width = self.width
        rows = len(values) // width
        if rows <= _LARGEST:
            self._write_some(connection, values, rows)
            return rows
        for first in range(0, rows, _LARGEST):
            some = values[first * width : (first + _LARGEST) * width]
            self._write_some(connection, some, len(some) // width)
        return rows

    def write_singly(self, connection: sqlite3.Connection, values: list[Any]) -> int:
        """The same for large values: a prepared statement keeps what it was last given."""
        width = self.width
        rows = [values[place : place + width] for place in range(0, len(values), width)]
        connection.executemany(self.text(1), rows)
        return len(rows)

    def _write_some(self, connection: sqlite3.Connection, values: list[Any], rows: int) -> None:
        size = SIZES[bisect_left(SIZES, rows)]
        if size > rows:
            values.extend([0] * ((size - rows) * self.width))
        connection.execute(self.text(size), values)


def insert(
    table: str, columns: Mapping[str, str] | Sequence[str], constants: Mapping[str, int] | None = None, *, how: str = ""
) -> Bulk:
    """Inserts rows. A column may have a pattern for what is made of its value, with `{}` for the value."""
    patterns = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "{}")
    constants = constants or {}
    names = ", ".join([*patterns, *constants])
    made = [pattern.format(f"column{place}") for place, pattern in enumerate(patterns.values(), start=1)]
    chosen = ", ".join([*made, *map(str, constants.values())])
    return Bulk(
        f"insert {how} into {table} ({names}) select {chosen} from (values {{}}) where column1 <> 0", len(patterns)
    )


def update(table: str, columns: Mapping[str, str] | Sequence[str], also: str = "") -> Bulk:
    """Updates rows: a row's values are its key, and what the columns become."""
    patterns = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "{}")
    changes = ", ".join(
        f"{column} = {pattern.format(f'v.column{place}')}"
        for place, (column, pattern) in enumerate(patterns.items(), start=2)
    )
    return Bulk(
        f"update {table} set {changes}{also} from (values {{}}) as v where {table}.key = v.column1", len(patterns) + 1
    )
