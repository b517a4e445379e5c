"""How to reach a PostgreSQL store."""

from __future__ import annotations

from perdure.backends.joining.loan import Lender, Loan
from perdure.backends.joining.servers import SqlServerBackend
from perdure.backends.postgres import faults
from perdure.backends.postgres.address import Address
from perdure.backends.postgres.joining import PostgresVisit, lender_of
from perdure.backends.postgres.link import PostgresHerald, PostgresLink, PostgresListener
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.session import PostgresSession
from perdure.backends.postgres.sources import Source
from perdure.backends.sql.link import SqlLooker
from perdure.backends.sql.schema import Origin
from perdure.backends.urls import StoreUrl
from perdure.clock import Clock


class PostgresNetwork:
    """A database."""

    def __init__(self, source: Source, options: PostgresOptions) -> None:
        self._source = source
        self._options = options

    @property
    def key(self) -> str:
        return f"{self._source.key} {self._options}"

    @property
    def url(self) -> str:
        return self._source.url

    def link(self) -> PostgresLink:
        return PostgresLink(self._source, self.url, self._options)

    def looker(self) -> SqlLooker:
        return SqlLooker(PostgresSession(self._source, self._options), faults, self.url)

    def herald(self) -> PostgresHerald | None:
        return PostgresHerald(self._source, self.url, self._options) if self._options.has_notices else None

    def listener(self) -> PostgresListener | None:
        return PostgresListener(self._source, self._options) if self._options.has_notices else None


class PostgresBackend(SqlServerBackend):
    """A store in a PostgreSQL database (13 or newer)."""

    def __init__(
        self, source: str | Source, options: PostgresOptions | None = None, *, clock: Clock | None = None
    ) -> None:
        """A `source` that is a str is a URL without options of the store's own. Raises ConfigurationError."""
        self._options = options = options or PostgresOptions()
        if isinstance(source, str):
            source = _address_of(source, options)
        super().__init__(PostgresNetwork(source, options), clock=clock)

    def _lender_of(self, connection: object) -> Lender:
        return lender_of(connection)

    def _visit(self, loan: Loan, origin: Origin) -> PostgresVisit:
        return PostgresVisit(loan, self._options, origin)


def _address_of(url: str, options: PostgresOptions) -> Address:
    parsed = StoreUrl(url)
    return Address(parsed, parsed.options, options)
