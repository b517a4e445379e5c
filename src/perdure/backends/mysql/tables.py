"""The tables in MySQL and MariaDB."""

from __future__ import annotations

from perdure.backends.mysql.session import MysqlSession
from perdure.backends.mysql.writing import SHARE_LATCH, TAKE_LATCH, statements_of
from perdure.backends.sql.network_tables import NetworkTables
from perdure.backends.sql.plan import Plan


class MysqlTables(NetworkTables):
    """Over the session that writes."""

    def __init__(self, session: MysqlSession) -> None:
        super().__init__(session)
        self._mysql = session

    def write_plan(self, plan: Plan, *, is_last: bool) -> None:
        session = self._mysql
        row = "" if session.is_mariadb else "row"
        statements = statements_of(plan, self.generation, session.text_of, session.literal, row=row)
        session.write(statements, commits=is_last)

    def keep_others_out(self) -> None:
        self._mysql.execute(TAKE_LATCH)

    def _check_generation(self) -> None:
        self._mysql.execute(SHARE_LATCH)
        super()._check_generation()
