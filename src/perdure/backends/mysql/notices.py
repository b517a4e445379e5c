"""How processes wake each other, where a server passes no messages.

A listener sleeps in a statement, and whoever has something to tell interrupts that: `kill query`, which each user may do to
statements of his own. What is told stands in a table, of which a listener reads what it hasn't seen. It sleeps only if there is
nothing new, so an interruption that comes too early is not missed.

Who listens holds a lock with a name, by which others find its connection: such a lock ends with its connection, so nobody
interrupts a stranger, and while nobody else listens nothing is written.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import asyncmy
from asyncmy.connection import Connection

from perdure.backends.mysql import faults
from perdure.backends.mysql.address import Address
from perdure.backends.mysql.names import lock_name
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.mysql.session import MysqlSession, connected
from perdure.backends.sql.link import SqlConnection

_LISTENERS = 64  # more processes than that poll
_LOOK_SECONDS = 0.2  # how soon it is noticed that listening is over
_SLEEP_SECONDS = 10
_WINDOW = 32  # numbers in a row may be committed out of order
_KEPT = 1_000
_TRIM_EVERY = 256

_INSERT = "insert into perdure_notices (notice) values (?)"
_TRIM = (
    "delete from perdure_notices where id < cast(last_insert_id() as signed) - ?"  # it is unsigned, and small at first
)
_NEWEST = "select id from perdure_notices order by id desc limit ?"
_NEW = "from perdure_notices where id > ? and id not in ?"
_NEWS = f"select id, notice {_NEW} order by id"
_SLEEP = f"select sleep(if(exists (select 1 {_NEW}), 0, ?))"


class MysqlHerald(SqlConnection):
    """The connection that tells other processes."""

    def __init__(self, address: Address, place: str, options: MysqlOptions, own: MysqlListener) -> None:
        """`own` is this process's listener: what it would hear is known here."""
        self.session = MysqlSession(address, options)
        super().__init__(self.session, faults, place)
        self._own = own
        self._names = [lock_name(address, options, str(number)) for number in range(_LISTENERS)]
        self._holders = f"select {', '.join(['is_used_lock(?)'] * _LISTENERS)}"
        self._told = 0

    def notify(self, notice: bytes) -> None:
        session = self.session
        found = session.execute(self._holders, self._names).fetchone()
        others = [connection_id for connection_id in found if connection_id not in {None, self._own.connection_id}]
        if not others:
            return
        statements = [session.text_of(_INSERT) % session.literal(notice)]
        self._told += 1
        if self._told % _TRIM_EVERY == 0:
            statements.append(session.text_of(_TRIM) % session.literal(_KEPT))
        session.write(statements, commits=True)
        for connection_id in others:
            session.run(_kill(session.connection, f"query {int(connection_id)}"))


class MysqlListener:
    """The connection that listens."""

    def __init__(self, address: Address, options: MysqlOptions) -> None:
        self._address = address
        self._options = options
        self.connection_id: int | None = None

    def listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        session = MysqlSession(self._address, self._options)
        session.open()
        try:
            # A statement that sleeps must not keep old rows from being purged.
            session.run(session.control("set session transaction isolation level read uncommitted"))
            self._take_name(session)
            self.connection_id = session.connection.thread_id()
            while not session.has_table("perdure_notices"):  # the connection that writes is making it
                if is_over.wait(_LOOK_SECONDS):
                    return
            seen = [number for (number,) in session.execute(_NEWEST, (_WINDOW,)).fetchall()]
            tell(None)
            while not is_over.is_set():
                seen = self._hear(session, seen, tell, is_over)
        finally:
            self.connection_id = None
            session.close()

    def _take_name(self, session: MysqlSession) -> None:
        for number in range(_LISTENERS):
            name = lock_name(self._address, self._options, str(number))
            if session.execute("select get_lock(?, 0)", (name,)).fetchone() == (1,):
                return
        raise ConnectionError(f"{_LISTENERS} processes listen already")

    def _hear(
        self, session: MysqlSession, seen: list[int], tell: Callable[[bytes | None], None], is_over: threading.Event
    ) -> list[int]:
        """Wait for what is new, and tell it; gives what has been seen then."""
        known = (max(seen, default=0) - _WINDOW, tuple(seen) or (0,))  # numbers begin with 1
        try:
            session.run(self._sleep(session, known, is_over))
            if is_over.is_set():
                return seen
            found = session.execute(_NEWS, known).fetchall()
        except asyncmy.errors.Error as problem:
            if faults.number_of(problem) != faults.INTERRUPTED:
                raise
            return seen
        for _, notice in found:
            tell(notice)
        return sorted([*seen, *(number for number, _ in found)])[-_WINDOW:]

    async def _sleep(self, session: MysqlSession, known: tuple[object, ...], is_over: threading.Event) -> None:
        connection_id = session.connection.thread_id()
        sleeping = asyncio.ensure_future(session.ask(session.prepared(_SLEEP), (*known, _SLEEP_SECONDS)))
        while not (await asyncio.wait([sleeping], timeout=_LOOK_SECONDS))[0]:
            if is_over.is_set():
                sleeping.cancel()
                await asyncio.wait([sleeping])
                await self._end(connection_id)
                return
        sleeping.result()

    async def _end(self, connection_id: int) -> None:
        """The server would sleep on behind a connection that is closed."""
        async with await connected(self._address, self._options.timeout_seconds) as connection:
            await _kill(connection, str(connection_id))


async def _kill(connection: Connection, what: str) -> None:
    try:
        await connection.cursor().execute(f"kill {what}")
    except asyncmy.errors.Error as problem:
        if faults.number_of(problem) not in {faults.UNKNOWN_CONNECTION, faults.FOREIGN_CONNECTION}:
            raise
