"""The tables in PostgreSQL."""

from __future__ import annotations

from perdure.backends.network.link import Conflict
from perdure.backends.postgres.dialect import parameters_of, writing
from perdure.backends.postgres.session import PostgresSession
from perdure.backends.sql.network_tables import NetworkTables
from perdure.backends.sql.plan import Plan


class PostgresTables(NetworkTables):
    """Over the session that writes."""

    def __init__(self, session: PostgresSession) -> None:
        super().__init__(session)
        self._postgres = session

    def write_plan(self, plan: Plan, *, is_last: bool) -> None:
        session = self._postgres
        if not is_last:
            session.begin()
        kinds = tuple(plan.rows)
        text = writing(
            kinds,
            has_instances=bool(plan.instances),
            has_activities=bool(plan.activities),
            has_buckets=bool(plan.buckets),
        )
        ((is_fine, *_),) = session.fetch_direct(text, parameters_of(plan, kinds, self.generation))
        if not is_fine:
            raise Conflict("a row has changed since it was read")
        if is_last:
            session.commit()
