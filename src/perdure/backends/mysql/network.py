"""How to reach a store in MySQL or MariaDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.backends.joining.loan import Lender, Loan
from perdure.backends.joining.servers import SqlServerBackend
from perdure.backends.mysql import faults
from perdure.backends.mysql.address import Address, address_of
from perdure.backends.mysql.joining import MysqlVisit, lender_of
from perdure.backends.mysql.link import MysqlLink
from perdure.backends.mysql.notices import MysqlHerald, MysqlListener
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.mysql.session import MysqlSession
from perdure.backends.sql.link import SqlLooker
from perdure.backends.sql.schema import Origin
from perdure.clock import Clock


class MysqlNetwork:
    """A database."""

    def __init__(self, address: Address, url: str, options: MysqlOptions) -> None:
        """`url` is without secrets."""
        self._address = address
        self._url = url
        self._options = options
        self._listener = MysqlListener(address, options)

    @property
    def key(self) -> str:
        return f"mysql {sorted(self._address.items(), key=str)} {self._options}"

    @property
    def url(self) -> str:
        return self._url

    def link(self) -> MysqlLink:
        return MysqlLink(self._address, self._url, self._options)

    def looker(self) -> SqlLooker:
        return SqlLooker(MysqlSession(self._address, self._options), faults, self._url)

    def herald(self) -> MysqlHerald | None:
        return MysqlHerald(self._address, self._url, self._options, self._listener) if self._options.notices else None

    def listener(self) -> MysqlListener | None:
        return self._listener if self._options.notices else None


class MysqlBackend(SqlServerBackend):
    """A store in a database of MySQL (8.0.19 or newer) or MariaDB (10.6 or newer)."""

    def __init__(
        self,
        dsn: str | Mapping[str, Any],
        options: MysqlOptions | None = None,
        *,
        url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`dsn` is a URL, or the keywords of asyncmy.connect; `url` is what people may read of it."""
        address = address_of(dsn)
        url = url or f"mysql://{address.get('host', 'localhost')}:{address.get('port', 3306)}/{address.get('database')}"
        self._options = options or MysqlOptions()
        super().__init__(MysqlNetwork(address, url, self._options), clock=clock)

    def _lender_of(self, connection: object) -> Lender:
        return lender_of(connection)

    def _visit(self, loan: Loan, origin: Origin) -> MysqlVisit:
        return MysqlVisit(loan, self._options, origin)
