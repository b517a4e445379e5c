"""The connection to MySQL or MariaDB that writes."""

from __future__ import annotations

from perdure.backends.mysql import faults, judging
from perdure.backends.mysql.address import Address
from perdure.backends.mysql.names import lock_name
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.mysql.session import MysqlSession
from perdure.backends.mysql.tables import MysqlTables
from perdure.backends.sql import schema
from perdure.backends.sql.link import SqlLink
from perdure.errors import StoreUnavailable

_PATIENCE_SECONDS = 20


class MysqlLink(SqlLink):
    """Makes the schema, too."""

    now_text = "select cast(unix_timestamp(now(6)) * 1000000 as signed)"

    def __init__(self, address: Address, place: str, options: MysqlOptions) -> None:
        self.session = MysqlSession(address, options)
        super().__init__(self.session, MysqlTables(self.session), faults, place, may_migrate=options.migrate)
        self.tables.blob_threshold = options.blob_threshold
        self._lock = lock_name(address, options, "migrates")

    def judge(self) -> None:
        judging.judge(self.session, self._place)

    def migrate(self) -> None:
        """Statements that make tables commit by themselves; so each can be repeated, and what was done is written down after them."""
        session = self.session
        (is_mine,) = session.execute("select get_lock(?, ?)", (self._lock, _PATIENCE_SECONDS)).fetchone()
        if not is_mine:
            raise StoreUnavailable(
                f"{self._place}: somebody else has been changing the schema for long. Repeat it.", is_unwritten=True
            )
        try:
            if not schema.is_current(session, self._place):
                schema.migrate(session, self.now())
            session.commit()
        finally:
            session.roll_back()
            session.execute("select release_lock(?)", (self._lock,))
