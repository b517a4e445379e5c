"""SQLite's dialect, and a connection that speaks it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from perdure.backends.sql.dialect import Dialect, json_of, on_conflict_nothing, on_conflict_update

_LISTED = "in (select value from json_each(?))"

# Lists are passed as one JSON text, so that their length doesn't change the statement: sqlite3 keeps prepared ones by text.
SQLITE = Dialect(
    title="SQLite",
    one_of_texts=_LISTED,
    one_of_keys=_LISTED,
    of_versions=f"(? is null or version {_LISTED})",
    has_tag="exists (select 1 from json_each(tags) as tag where tag.key = ? and tag.value = ?)",
    contains="instr(instance_id, ?) > 0",
    texts=json_of,
    keys=json_of,
    upsert=on_conflict_update,
    insert_once=on_conflict_nothing,
    # The planner would look at all running instances instead.
    by_deadline="indexed by perdure_instances_deadline",
    int="integer",
    real="real",
    name="text",
    text="text",
    id="blob",
    data="blob",
    clustered="without rowid",
)


class SqliteSession:
    """Over one connection."""

    dialect = SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._texts: dict[str, str] = {}

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:
        text = self._texts.get(template)
        if text is None:
            text = self._texts[template] = SQLITE.fill(template)
        return self.connection.execute(text, parameters)

    def has_table(self, name: str) -> bool:
        found = self.execute("select 1 from sqlite_master where type = 'table' and name = ?", (name,))
        return found.fetchone() is not None

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """What is read within it is of one moment."""
        self.connection.execute("begin")
        try:
            yield
        finally:
            self.connection.rollback()
