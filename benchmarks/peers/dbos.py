"""DBOS Transact on a SQLite file, or on the PostgreSQL that an order names.

What was tried, 50 in flight, WAL + FULL: synchronous workflows 229/s on a pool of 20 connections (its default), 249 on
4, 263 on 2, 276 on 1; asynchronous ones 195 to 210. On the journal it takes by itself (DELETE) 129. So: synchronous
workflows in threads on a pool of two, in WAL. Steps side by side and children need the asynchronous half. On
PostgreSQL, with its default of 20, synchronous ones 208 to 255, on 8 connections 221 to 240, on 50 183 to 191, on 4 149 to
190 (three rounds in turn on a busy machine): the default.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy
from dbos import DBOS

from benchmarks.peers import measure
from benchmarks.peers.measure import Order, Stored

POOL = 2
POOL_OF_POSTGRESQL = 20
QUEUE = "left"
FILE = "dbos.db"


@sqlalchemy.event.listens_for(sqlalchemy.Pool, "connect")
def make_it_as_durable(connection: Any, _: object) -> None:
    """DBOS leaves both as SQLite has them, DELETE and FULL; its own tests put the file into WAL beforehand."""
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")


@DBOS.step()
def double(x: int) -> int:
    return x * 2


@DBOS.workflow()
def one_activity(x: int) -> int:
    return int(double(x)) + 1


@DBOS.workflow()
def ten_in_a_row(x: int) -> int:
    return sum(double(x + step) for step in range(measure.STEPS_OF_TEN))


@DBOS.workflow()
def steps_in_a_row(steps: int) -> int:
    return sum(double(step) for step in range(steps))


@DBOS.step()
async def double_async(x: int) -> int:
    return x * 2


@DBOS.step()
async def payload() -> str:
    return measure.PAYLOAD


@DBOS.workflow()
async def fan_out(width: int) -> int:
    return sum(await asyncio.gather(*(double_async(x) for x in range(width))))


@DBOS.workflow()
async def leaf() -> int:
    return sum(len(each) for each in await asyncio.gather(payload(), payload()))


@DBOS.workflow()
async def tree(depth: int) -> int:
    """A root or one in between."""
    if depth:
        children = [await DBOS.start_workflow_async(tree, depth - 1) for _ in range(2)]
    else:
        children = [await DBOS.start_workflow_async(leaf) for _ in range(2)]
    return sum([await child.get_result() for child in children])


_ON_SQLITE = {"sqlite": "select sqlite_version()"} | {name: f"pragma {name}" for name in measure.PRAGMAS}
_ON_POSTGRESQL = {name: f"show {name}" for name in ("server_version", "synchronous_commit", "fsync")}
"""What the settings of a run are asked with."""

THREADED: dict[str, Callable[[int], int]] = {
    "one_activity": one_activity,
    "ten_in_a_row": ten_in_a_row,
    "steps_in_a_row": steps_in_a_row,
}


class Dbos:
    """Synchronous workflows each in a thread, asynchronous ones on the loop."""

    def __init__(self, threads: ThreadPoolExecutor, settings: dict[str, Any]) -> None:
        self._threads = threads
        self._settings = settings

    async def run(self, workflow: str, x: int) -> int:
        if workflow in THREADED:
            return await asyncio.get_running_loop().run_in_executor(self._threads, THREADED[workflow], x)
        return int(await (tree(measure.DEPTH) if workflow == "tree" else fan_out(x)))

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        return await measure.closed_loop(self.run, workflow, xs, in_flight)

    async def start(self, x: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, DBOS.enqueue_workflow, QUEUE, one_activity, x)

    def settings(self) -> dict[str, Any]:
        return {"dbos": version("dbos"), **self._settings}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Dbos]:
    url, schema = place(order)
    pool = POOL_OF_POSTGRESQL if schema else POOL
    dbos = DBOS(
        config={
            "name": "bench",
            "executor_id": order.part or "one",  # whoever starts takes what its namesake has left
            "system_database_url": url,
            "dbos_system_schema": schema,
            "sys_db_pool_size": pool,
            "log_level": "ERROR",
        }
    )
    DBOS.listen_queues([])  # what is enqueued by `start_only` is left
    DBOS.launch()
    if order.case == "start_only":
        await DBOS.register_queue_async(QUEUE)
    try:
        with ThreadPoolExecutor(order.in_flight) as threads:
            with dbos._sys_db.engine.connect() as connection:
                questions = _ON_POSTGRESQL if schema else _ON_SQLITE
                found = {name: connection.exec_driver_sql(sql).scalar() for name, sql in questions.items()}
            yield Dbos(threads, {"pool_size": pool, **found})
    finally:
        DBOS.destroy()


def place(order: Order) -> tuple[str, str | None]:
    """The URL, and on PostgreSQL the schema: an order's URL names it as perdure's do."""
    if not order.store:
        return f"sqlite:///{order.folder / FILE}", None
    parts = urlsplit(order.store)
    return parts._replace(query="").geturl(), dict(parse_qsl(parts.query))["schema"]


def stored(order: Order) -> Stored:
    """Through a connection that isn't DBOS's."""
    url, schema = place(order)
    table = f'"{schema}".workflow_status' if schema else "workflow_status"
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg") if schema else url)
    with engine.connect() as connection:
        question = f"select count(*), count(*) filter (where status = 'SUCCESS') from {table}"
        workflows, completed = connection.exec_driver_sql(question).one()
    engine.dispose()
    return Stored(workflows=workflows, completed=completed)


def main(words: list[str]) -> None:
    measure.main(opened, stored, words)
