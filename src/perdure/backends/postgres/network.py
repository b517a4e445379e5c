"""How to reach a PostgreSQL store."""

from __future__ import annotations

from perdure.backends.network.backend import NetworkBackend
from perdure.backends.postgres import faults
from perdure.backends.postgres.link import PostgresHerald, PostgresLink, PostgresListener
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.session import PostgresSession
from perdure.backends.sql.link import SqlLooker
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
        return PostgresHerald(self._dsn, self._url, self._options) if self._notices else None

    def listener(self) -> PostgresListener | None:
        return PostgresListener(self._dsn, self._options) if self._notices else None

    @property
    def _notices(self) -> bool:
        return self._options.notices and not self._options.pgbouncer


class PostgresBackend(NetworkBackend):
    """A store in a PostgreSQL database (13 or newer)."""

    def __init__(
        self, dsn: str, options: PostgresOptions | None = None, *, url: str | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(PostgresNetwork(dsn, url or dsn, options or PostgresOptions()), clock=clock)
