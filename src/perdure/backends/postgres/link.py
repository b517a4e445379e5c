"""Connections to PostgreSQL: one writes, one reads, one tells, one listens."""

from __future__ import annotations

import asyncio
import threading
import time
from base64 import b85decode, b85encode
from collections.abc import Callable
from zlib import crc32

from perdure.backends.notices import shortened
from perdure.backends.postgres import faults, judging
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.session import OF_WRITING, PostgresSession
from perdure.backends.postgres.sources import Source
from perdure.backends.postgres.tables import PostgresTables
from perdure.backends.sql import schema
from perdure.backends.sql.link import SqlConnection, SqlLink

_LONGEST_NOTICE = 7_800  # of 8,000 bytes
_LOOK_SECONDS = 0.2  # how soon it is noticed that listening is over
_CHECK_SECONDS = 5.0  # how often it is asked whether the server is still there: nothing else is sent


class PostgresLink(SqlLink):
    """The connection that writes."""

    now_text = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"

    def __init__(self, source: Source, place: str, options: PostgresOptions) -> None:
        self.session = PostgresSession(source, options, OF_WRITING)
        super().__init__(self.session, PostgresTables(self.session), faults, place, may_migrate=options.migrate)
        self.tables.blob_threshold = options.blob_threshold
        self._schema = options.schema

    def judge(self) -> None:
        judging.judge(self.session, self._place)

    def migrate(self) -> None:
        session = self.session
        session.begin()
        try:
            # One at a time: whoever comes second finds it done, however long that takes.
            session.execute("set local lock_timeout = 0")
            session.fetch_direct("select pg_advisory_xact_lock($1)", (crc32(f"perdure {self._schema}".encode()),))
            if self._schema is not None:
                session.execute(f'create schema if not exists "{self._schema}"')
            if not schema.is_current(session, self._place):
                schema.migrate(session, self.now())
            session.commit()
        finally:
            session.roll_back()


class PostgresHerald(SqlConnection):
    """The connection that tells other processes: NOTIFY takes a lock of the whole server's, which no write is to wait for."""

    def __init__(self, source: Source, place: str, options: PostgresOptions) -> None:
        self.session = PostgresSession(source, options)
        super().__init__(self.session, faults, place)
        self._channel = channel(options)

    def notify(self, notice: bytes) -> None:
        text = b85encode(notice).decode()
        if len(text) > _LONGEST_NOTICE:
            text = b85encode(shortened(notice)).decode()
        self.session.fetch_direct("select pg_notify($1, $2)", (self._channel, text))


class PostgresListener:
    """The connection that listens."""

    def __init__(self, source: Source, options: PostgresOptions) -> None:
        self._source = source
        self._channel = channel(options)

    def listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        loop = self._source.loop()
        try:
            loop.run(self._listen(tell, is_over))
        finally:
            loop.close()

    async def _listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        def hear(connection: object, pid: int, channel: str, payload: object) -> None:
            tell(b85decode(str(payload)))

        connection = await self._source.take({})
        try:
            await connection.add_listener(self._channel, hear)
            tell(None)
            checked_at = time.monotonic()
            while not is_over.is_set():
                if connection.is_closed():
                    raise ConnectionError("the connection was lost")
                if time.monotonic() > checked_at + _CHECK_SECONDS:
                    await connection.execute("select 1", timeout=_CHECK_SECONDS)
                    checked_at = time.monotonic()
                await asyncio.sleep(_LOOK_SECONDS)
            await connection.remove_listener(self._channel, hear)
        finally:
            await self._source.give_back(connection)


def channel(options: PostgresOptions) -> str:
    """Where the notices of a schema go."""
    return f"perdure {options.schema or ''}".strip()
