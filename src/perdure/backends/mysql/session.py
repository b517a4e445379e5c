"""A connection of asyncmy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import asyncmy
from asyncmy.connection import Connection
from asyncmy.constants.CLIENT import FOUND_ROWS, MULTI_STATEMENTS
from asyncmy.converters import conversions, escape_bytes_prefixed

from perdure.backends.mysql.address import Address
from perdure.backends.mysql.dialect import MARIADB, MYSQL
from perdure.backends.mysql.faults import is_already_there
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.sql.driven import DrivenSession, Statement
from perdure.backends.sql.session import Rows
from perdure.errors import StoreUsageError

_TABLE = re.compile(r"\bperdure_")
_ISOLATION = "set session transaction isolation level read committed"
_SETTINGS = {
    # What the driver relies on to escape values, whatever the server has.
    "sql_mode": "'traditional'",
    "innodb_lock_wait_timeout": "1",
    "lock_wait_timeout": "20",
    "time_zone": "'+00:00'",
    "default_storage_engine": "innodb",
    # The driver would ask for each note, and print it.
    "sql_notes": "0",
}
_SET = f"{_ISOLATION}; set session {', '.join(f'{name} = {value}' for name, value in _SETTINGS.items())}"
_SPARE_BYTES = 1_024
_MOST_IN_DIGITS = 16_384


def _as_literal(value: bytes | bytearray, mapping: object = None) -> str:
    """Escaping would take twenty times as long; but digits take twice the room in a packet."""
    if len(value) <= _MOST_IN_DIGITS:
        return f"x'{value.hex()}'"
    text: str = escape_bytes_prefixed(bytes(value))
    return text


# Within a tuple the driver would take bytes for text, and what it doesn't know for its repr.
_CONVERSIONS = {**conversions, bytes: _as_literal, bytearray: _as_literal}


async def connected(address: Address, seconds: float) -> Connection:
    """Raises asyncmy's errors, or OSError."""
    seconds = min(seconds, 10.0)
    async with asyncio.timeout(seconds):  # the driver's own covers the way to the server alone
        made: Connection = await asyncmy.connect(
            **address,
            charset="utf8mb4",
            autocommit=True,
            conv=_CONVERSIONS,
            # Rows are counted if they are found, even if they are as they are to be.
            client_flag=MULTI_STATEMENTS | FOUND_ROWS,
            connect_timeout=max(1, int(seconds)),
        )
        try:
            await send(made, _SET.encode())
        except BaseException:
            made.close()
            raise
    return made


async def send(connection: Connection, statements: bytes) -> None:
    """Wait until all are carried out."""
    cursor = connection.cursor()
    await cursor.execute(statements)
    while await cursor.nextset():
        pass


class MysqlSession(DrivenSession):
    """Of the tables with a prefix."""

    dialect = MYSQL
    begin_snapshot = (
        "set transaction isolation level repeatable read; start transaction with consistent snapshot, read only"
    )

    def __init__(self, address: Address, options: MysqlOptions) -> None:
        super().__init__(options.timeout_seconds)
        self._address = address
        self._options = options
        self._connection: Connection | None = None
        self._largest_bytes = 0

    # --- the connection

    async def connect(self) -> None:
        self._connection = connection = await connected(self._address, self._options.timeout_seconds)
        is_mariadb = "mariadb" in connection.get_server_info().lower()
        self.dialect = MARIADB if is_mariadb else MYSQL
        self._statements.clear()
        cursor = connection.cursor()
        await cursor.execute("select @@max_allowed_packet")
        (largest_bytes,) = await cursor.fetchone()
        self._largest_bytes = largest_bytes - _SPARE_BYTES

    async def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.ensure_closed()

    def abort(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise ConnectionError("the connection isn't open")
        return self._connection

    @property
    def is_mariadb(self) -> bool:
        return self.dialect is MARIADB

    # --- statements

    def execute(self, template: str, parameters: Sequence[Any] = (), /) -> Rows:
        try:
            return super().execute(template, parameters)
        except asyncmy.errors.Error as problem:
            # A table or index is committed by itself: an attempt that was cut off has left it.
            if is_already_there(problem):
                return Rows((), 0)
            raise

    async def ask(self, statement: Statement, parameters: Sequence[Any]) -> Rows:
        cursor = self.connection.cursor()
        query = self._encoded(cursor.mogrify(statement.text, tuple(parameters)))
        async with self._patience():
            await cursor.execute(query)
            rows = await cursor.fetchall() if statement.gives_rows else ()
        rowcount: Any = cursor.rowcount
        return Rows(rows, rowcount)

    async def control(self, text: str) -> None:
        await self._send(text.encode())

    def write(self, statements: Iterable[str], *, commits: bool) -> None:
        """Statements as the driver takes them, in the transaction that is open or a new one, in one go."""
        if not self.is_in_transaction:
            statements = ["begin", *statements]
            self.is_in_transaction = True
        if commits:
            statements = [*statements, "commit"]
        for packet in self._packets(statements):
            self.run(self._send(packet))
        if commits:
            self.is_in_transaction = False

    def has_table(self, name: str) -> bool:
        text = "select 1 from information_schema.tables where table_schema = database() and table_name = ?"
        return self.execute(text, (self.qualified(name),)).fetchone() is not None

    def literal(self, value: Any) -> str:
        """As the driver writes it."""
        text: str = self.connection.literal(value)  # type: ignore[no-untyped-call]
        return text

    def text_of(self, template: str) -> str:
        return self.qualified(self.dialect.fill(template)).replace("%", "%%").replace("?", "%s")

    def qualified(self, text: str) -> str:
        """The text with the tables' prefix."""
        return _TABLE.sub(self._options.prefix, text)

    def _packets(self, statements: Iterable[str]) -> Iterator[bytes]:
        some: list[bytes] = []
        for statement in map(self._encoded, statements):
            if some and sum(map(len, some)) + len(statement) + len(some) > self._largest_bytes:
                yield b";".join(some)
                some = []
            some.append(statement)
        yield b";".join(some)

    def _encoded(self, statement: str) -> bytes:
        encoded = statement.encode("utf-8", "surrogateescape")  # which is how the driver passes bytes through a str
        if len(encoded) > self._largest_bytes:
            raise StoreUsageError(
                f"A statement of {len(encoded):,} bytes is more than the server's max_allowed_packet; nothing was written. "
                f"Raise that setting, or keep payloads smaller."
            )
        return encoded

    async def _send(self, statements: bytes) -> None:
        async with self._patience():
            await send(self.connection, statements)

    def _patience(self) -> asyncio.Timeout:
        """The driver closes a connection whose call is cancelled."""
        return asyncio.timeout(self._timeout_seconds)
