"""The tables in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from zlib import crc32

from perdure.backends.network.link import Conflict
from perdure.backends.postgres.dialect import parameters_of, writing
from perdure.backends.sql.network_tables import NetworkTables
from perdure.backends.sql.plan import Plan
from perdure.backends.sql.session import WritingSession


class PlanSession(WritingSession, Protocol):
    """A session that writes plans."""

    @property
    def schema(self) -> str | None: ...

    @property
    def is_pooled(self) -> bool:
        """Whether the next statement may go to another connection of the server's, which knows nothing of the last one."""
        ...

    def fetch_direct(self, text: str, parameters: Sequence[Any], /) -> list[Any]:
        """A statement as it is, but for the schema."""
        ...


_WRITTEN = "instances executions events pending activities receipts published blobs workers settings"
# Readers may look on. The generation is another table: it is read before the lock is had, but after it is waited for.
_KEEP_OUT = f"lock table {', '.join(f'perdure_{name}' for name in _WRITTEN.split())} in exclusive mode"


class PostgresTables(NetworkTables):
    """Over the session that writes."""

    def __init__(self, session: PlanSession) -> None:
        super().__init__(session)
        self._postgres = session

    def write_plan(self, plan: Plan, *, is_last: bool) -> None:
        session = self._postgres
        if not is_last or session.is_pooled:
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

    def set_seal(self, target: str | None) -> None:
        """Not before the users' own transactions have ended that write here (joining.py)."""
        session = self._postgres
        session.begin()
        session.fetch_direct("select pg_advisory_xact_lock($1)", (seal_lock(session.schema),))
        super().set_seal(target)

    def keep_others_out(self) -> None:
        self._postgres.execute(_KEEP_OUT)


def seal_lock(schema: str | None) -> int:
    """The advisory lock of who seals the store; a transaction of a user's has a share of it."""
    return crc32(f"perdure seal {schema}".encode())
