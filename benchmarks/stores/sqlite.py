"""Files."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.stores.copying import INSTANCES, copy, is_of_instances


class Sqlite:
    """A file in the run's folder, which goes with it."""

    name = "sqlite"
    schemes = ("sqlite",)
    is_remote = False
    promised: Mapping[str, Any] = {}

    def url(self) -> str:
        return "sqlite:///{folder}/bench.db"

    async def fresh(self, url: str, folder: Path, run: str) -> str:
        return url.format(folder=folder)

    async def beside(self, url: str) -> str:
        path, question, query = url.partition("?")
        return f"{path.removesuffix('.db')}-beside.db{question}{query}"

    async def settings(self, url: str) -> dict[str, Any]:
        """Pragmas are those of perdure's own connection: `machine.store_settings` reads them there."""
        return {}

    async def multiply(self, url: str, templates: Mapping[str, int]) -> None:
        path = unquote(urlsplit(url).path[1:])
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("pragma synchronous = off")  # it is only read after this has ended
            connection.execute("pragma cache_size = -200000")
            connection.execute("begin immediate")
            tables = _tables(connection)
            for template, count in templates.items():
                (key,) = connection.execute(
                    f"select key from {INSTANCES} where instance_id = ?", (template,)
                ).fetchone()
                for table, columns in tables.items():
                    connection.execute(
                        copy(
                            table, columns, key, count - 1,
                            integer="integer",
                            numbered="substr(instance_id, 1, instr(instance_id, '-')) || printf('%08d', n)",
                            random="randomblob(16)",
                        )
                    )  # fmt: skip
            connection.execute("commit")
            connection.execute("pragma wal_checkpoint(truncate)")

    async def commands(self, url: str) -> None:
        """There is no server."""

    async def drop(self, url: str) -> None:
        """The folder goes."""


def _tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall()]
    columns = {name: [row[1] for row in connection.execute(f"pragma table_info({name})")] for name in names}
    return {name: of for name, of in columns.items() if is_of_instances(name, of)}
