"""Connections to PostgreSQL: one writes, one reads, one tells, one listens."""

from __future__ import annotations

import asyncio
import threading
from base64 import b85decode, b85encode
from collections.abc import Callable
from zlib import crc32

import asyncpg

from perdure.backends.looking import Looking
from perdure.backends.notices import shortened
from perdure.backends.postgres import faults, judging
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.session import PostgresSession
from perdure.backends.postgres.tables import PostgresTables
from perdure.backends.sql import schema
from perdure.backends.sql.looking import SqlLooking
from perdure.backends.unit.changes import Changes
from perdure.clock import Micros

_NOW = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
_LONGEST_NOTICE = 7_800  # of 8,000 bytes
_LOOK_SECONDS = 0.2  # how soon it is noticed that listening is over


class PostgresConnection:
    """What the connections have in common."""

    def __init__(self, dsn: str, place: str, options: PostgresOptions) -> None:
        self.session = PostgresSession(dsn, options)
        self._place = place
        self._options = options

    def open(self) -> None:
        self.session.open()

    def close(self) -> None:
        self.session.close()

    def is_lost(self, problem: BaseException) -> bool:
        return faults.is_lost(problem)

    def translated(self, problem: BaseException) -> BaseException:
        return faults.translated(problem, self._place)


class PostgresLink(PostgresConnection):
    """The connection that writes."""

    def __init__(self, dsn: str, place: str, options: PostgresOptions) -> None:
        super().__init__(dsn, place, options)
        self.tables = PostgresTables(self.session)
        self._is_prepared = False

    def open(self) -> None:
        super().open()
        if not self._is_prepared:
            judging.judge(self.session, self._place)
            self._prepare_schema()
            self._is_prepared = True

    def commit(self, changes: Changes) -> None:
        self.tables.write_last(changes)

    def roll_back(self) -> None:
        self.session.roll_back()

    def now(self) -> Micros:
        at: Micros = self.session.execute(_NOW).fetchone()[0]
        return at

    def is_conflict(self, problem: BaseException) -> bool:
        return faults.is_conflict(problem)

    def is_locked(self, problem: BaseException) -> bool:
        return faults.is_locked(problem)

    def _prepare_schema(self) -> None:
        session, place, options = self.session, self._place, self._options
        if schema.is_current(session, place):
            return
        if not options.migrate:
            raise schema.outdated(session, place)
        session.begin()
        try:
            # One at a time: whoever comes second finds it done.
            session.fetch_direct("select pg_advisory_xact_lock($1)", (crc32(f"perdure {options.schema}".encode()),))
            if options.schema is not None:
                session.execute(f'create schema if not exists "{options.schema}"')
            if not schema.is_current(session, place):
                schema.migrate(session, self.now())
            session.commit()
        finally:
            session.roll_back()


class PostgresLooker(PostgresConnection):
    """The connection that reads."""

    @property
    def looking(self) -> Looking:
        return SqlLooking(self.session)


class PostgresHerald(PostgresConnection):
    """The connection that tells other processes: NOTIFY takes a lock of the whole server's, which no write is to wait for."""

    def notify(self, notice: bytes) -> None:
        text = b85encode(notice).decode()
        if len(text) > _LONGEST_NOTICE:
            text = b85encode(shortened(notice)).decode()
        self.session.fetch_direct("select pg_notify($1, $2)", (channel(self._options), text))


class PostgresListener:
    """The connection that listens."""

    def __init__(self, dsn: str, options: PostgresOptions) -> None:
        self._dsn = dsn
        self._channel = channel(options)

    def listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        asyncio.run(self._listen(tell, is_over))

    async def _listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._dsn, timeout=10)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._channel, lambda *told: tell(b85decode(told[-1])))
            tell(None)
            while not is_over.is_set():
                if lost.is_set():
                    raise ConnectionError("the connection was lost")
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            connection.terminate()


def channel(options: PostgresOptions) -> str:
    """Where the notices of a schema go."""
    return f"perdure {options.schema or ''}".strip()
