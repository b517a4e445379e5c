"""How to reach a PostgreSQL store."""

from __future__ import annotations

from perdure.backends.joining.loan import Lender, Loan
from perdure.backends.postgres import faults
from perdure.backends.postgres.joining import PostgresVisit, lender_of
from perdure.backends.postgres.link import PostgresHerald, PostgresLink, PostgresListener
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.session import PostgresSession
from perdure.backends.sql.joined import SqlServerBackend
from perdure.backends.sql.link import SqlLooker
from perdure.backends.sql.schema import Origin
from perdure.clock import Clock


class PostgresNetwork:
    """A database, by its URL as libpq takes it."""

    def __init__(self, dsn: str, url: str, options: PostgresOptions) -> None:
        """`url` is the same without secrets."""
        self._dsn = dsn
        self._url = url
        self._options = options

    @property
    def key(self) -> str:
        return f"{self._dsn} {self._options}"

    @property
    def url(self) -> str:
        return self._url

    def link(self) -> PostgresLink:
        return PostgresLink(self._dsn, self._url, self._options)

    def looker(self) -> SqlLooker:
        return SqlLooker(PostgresSession(self._dsn, self._options), faults, self._url)

    def herald(self) -> PostgresHerald | None:
        return PostgresHerald(self._dsn, self._url, self._options) if self._options.has_notices else None

    def listener(self) -> PostgresListener | None:
        return PostgresListener(self._dsn, self._options) if self._options.has_notices else None


class PostgresBackend(SqlServerBackend):
    """A store in a PostgreSQL database (13 or newer)."""

    def __init__(
        self, dsn: str, options: PostgresOptions | None = None, *, url: str | None = None, clock: Clock | None = None
    ) -> None:
        self._options = options or PostgresOptions()
        super().__init__(PostgresNetwork(dsn, url or dsn, self._options), clock=clock)

    def _lender_of(self, connection: object) -> Lender:
        return lender_of(connection)

    def _visit(self, loan: Loan, origin: Origin) -> PostgresVisit:
        return PostgresVisit(loan, self._options, origin)
