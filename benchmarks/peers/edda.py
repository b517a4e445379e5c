"""Edda on a SQLite file.

With its usual pool of 5 + 10 connections, workflows fail here from ten in flight on ("database is locked", then a duplicate
row), with and without WAL or BEGIN IMMEDIATE. With one connection none does, and it is no slower (69/s at 50 in flight, 70/s
at one). There is no setting for that on SQLite, so the store is exchanged before the app is initialised.
A workflow runs where it is started, so there is nothing to enqueue; it has no child workflows either.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import sqlalchemy
import uvloop
from edda import EddaApp, WorkflowContext, activity, workflow
from edda.storage.sqlalchemy_storage import SQLAlchemyStorage
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.peers import measure
from benchmarks.peers.measure import Order, Stored

POOL = 1
FILE = "edda.db"


@sqlalchemy.event.listens_for(sqlalchemy.Pool, "connect")
def make_it_as_durable(connection: Any, _: object) -> None:
    """Edda leaves both as SQLite has them, DELETE and FULL; WAL is faster."""
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=full")
    cursor.close()


@activity
async def double(ctx: WorkflowContext, x: int) -> int:
    return x * 2


@workflow
async def one_activity(ctx: WorkflowContext, x: int) -> int:
    return int(await double(ctx, x)) + 1


@workflow
async def ten_in_a_row(ctx: WorkflowContext, x: int) -> int:
    return sum([await double(ctx, x + step) for step in range(measure.STEPS_OF_TEN)])


@workflow
async def steps_in_a_row(ctx: WorkflowContext, x: int) -> int:
    return sum([await double(ctx, step) for step in range(x)])


@workflow
async def fan_out(ctx: WorkflowContext, x: int) -> int:
    # Activities side by side need ids of their own.
    return sum(await asyncio.gather(*(double(ctx, each, activity_id=f"double:{each}") for each in range(x))))


WORKFLOWS = {each.name: each for each in (one_activity, ten_in_a_row, steps_in_a_row, fan_out)}


class Edda:
    """One app, one connection."""

    def __init__(self, app: EddaApp, pragmas: dict[str, Any]) -> None:
        self._app = app
        self._pragmas = pragmas

    async def run(self, workflow: str, x: int) -> int:
        instance = await self._app.storage.get_instance(await WORKFLOWS[workflow].start(x=x))
        return int(instance["output_data"]["result"])

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        return await measure.closed_loop(self.run, workflow, xs, in_flight)

    async def start(self, x: int) -> None:
        raise NotImplementedError("a workflow runs where it is started")

    def settings(self) -> dict[str, Any]:
        versions = {name: version(name) for name in ("edda-framework", "uvloop", "aiosqlite")}
        return {**versions, "sqlite": sqlite3.sqlite_version, "pool_size": POOL, **self._pragmas}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Edda]:
    path = order.folder / FILE
    app = EddaApp(service_name="bench", db_url=f"sqlite:///{path}")
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=POOL, max_overflow=0)
    app.storage = SQLAlchemyStorage(engine)
    await app.initialize()
    async with engine.connect() as connection:
        pragmas = {name: (await connection.exec_driver_sql(f"pragma {name}")).scalar() for name in measure.PRAGMAS}
    try:
        yield Edda(app, pragmas)
    finally:
        await app.shutdown()


def stored(order: Order) -> Stored:
    return measure.stored_in(
        order.folder / FILE, "select count(*), count(*) filter (where status = 'completed') from workflow_instances"
    )


def main(words: list[str]) -> None:
    logging.disable(logging.WARNING)
    uvloop.install()  # as Edda itself does, too late for a loop that runs already
    measure.main(opened, stored, words)
