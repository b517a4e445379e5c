"""How to reach a store in MySQL or MariaDB."""

from __future__ import annotations

from perdure.backends.joining.loan import Lender, Loan
from perdure.backends.joining.servers import SqlServerBackend
from perdure.backends.mysql import faults
from perdure.backends.mysql.address import Address, address_of, shown_url
from perdure.backends.mysql.joining import MysqlVisit, lender_of
from perdure.backends.mysql.link import MysqlLink
from perdure.backends.mysql.notices import MysqlHerald, MysqlListener
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.mysql.session import MysqlSession
from perdure.backends.sql.link import SqlLooker
from perdure.backends.sql.schema import Origin
from perdure.backends.urls import StoreUrl
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
        source: str | Address,
        options: MysqlOptions | None = None,
        *,
        scheme: str = "mysql",
        clock: Clock | None = None,
    ) -> None:
        """A `source` that is a str is a URL without options of the store's own. Raises ConfigurationError."""
        self._options = options = options or MysqlOptions()
        if isinstance(source, str):
            parsed = StoreUrl(source)
            scheme, source = parsed.scheme, address_of(parsed, parsed.options)
        super().__init__(MysqlNetwork(source, shown_url(scheme, source, options), options), clock=clock)

    def _lender_of(self, connection: object) -> Lender:
        return lender_of(connection)

    def _visit(self, loan: Loan, origin: Origin) -> MysqlVisit:
        return MysqlVisit(loan, self._options, origin)
