"""Fills a SQLite file with instances, by SQL: a million through workflows would take longer than all cases together.

One instance of each kind goes the real way. Its rows, of whatever tables, are then copied with other keys, ids and times,
so what stands there is what the code of today writes. Keys are older than those of the real ones: newer instances come
after them in every index, as they would in a file that had grown to this.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchmarks.measuring import until_all_wait
from benchmarks.workload import app, one_activity, wait_for_signal
from perdure import Orchestrator

_INSTANCES = "perdure_instances"
_KEYS_APART = 1 << 12
"""Two microseconds, as keys hold them in their upper bits."""
_UNIQUE = {
    "key": f"key - n * {_KEYS_APART}",
    "instance_id": "substr(instance_id, 1, instr(instance_id, '-')) || printf('%08d', n)",
    "execution_id": "randomblob(16)",
    "request_id": "randomblob(16)",
    **{at: f"{at} - n * 2" for at in ("created_at", "updated_at", "began_at", "ended_at")},
}


async def fill(store: str, *, ended: int, waiting: int) -> None:
    """Put so many instances into the file at this URL; those of 0 are the templates, and counted."""
    async with Orchestrator(store, app, cache_size=0) as perdure:
        await perdure.run(one_activity.with_options(instance_id=f"ended-{0:08d}"), 0)
        await perdure.start(wait_for_signal.with_options(instance_id=f"waiting-{0:08d}"), 0)
        await until_all_wait(perdure, evicted=True)
    connection = sqlite3.connect(path_of(store), isolation_level=None)
    connection.execute("pragma synchronous = off")  # it is only read after this has ended
    connection.execute("pragma cache_size = -200000")
    connection.execute("begin immediate")
    _copy(connection, f"ended-{0:08d}", ended - 1)
    _copy(connection, f"waiting-{0:08d}", waiting - 1)
    connection.execute("commit")
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()


def path_of(store: str) -> Path:
    """The file of a SQLite URL."""
    return Path(unquote(urlsplit(store).path[1:]))


def _copy(connection: sqlite3.Connection, template: str, times: int) -> None:
    """The rows of one instance, so many times more."""
    (key,) = connection.execute(f"select key from {_INSTANCES} where instance_id = ?", (template,)).fetchone()
    # The oldest first: keys rise, and pages are filled in order.
    numbers = "with recursive numbers(n) as (select ? union all select n - 1 from numbers where n > 1)"
    for table, columns in _tables_of_instances(connection).items():
        is_instances = table == _INSTANCES
        made = {column: column for column in columns} | (
            {column: made for column, made in _UNIQUE.items() if column in columns}
            if is_instances
            else {"instance_key": f"instance_key - n * {_KEYS_APART}"}
        )
        own_key = "key" if is_instances else "instance_key"
        connection.execute(
            f"{numbers} insert into {table} ({', '.join(made)}) select {', '.join(made.values())} "
            f"from numbers cross join (select * from {table} where {own_key} = ?)",
            (times, key),
        )


def _tables_of_instances(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Each table with rows that belong to an instance, with its columns; activities are over and have none."""
    names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall()]
    columns = {name: [row[1] for row in connection.execute(f"pragma table_info({name})")] for name in names}
    return {name: of for name, of in columns.items() if name == _INSTANCES or "instance_key" in of}
