"""The tables in PostgreSQL."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from operator import itemgetter
from typing import Any, Protocol
from zlib import crc32

from perdure.backends.network.link import Conflict
from perdure.backends.postgres.bounds import Bounds
from perdure.backends.postgres.dialect import parameters_of, writing
from perdure.backends.sql import statements as sql
from perdure.backends.sql.lines import Table
from perdure.backends.sql.network_tables import NetworkTables
from perdure.backends.sql.plan import Plan
from perdure.backends.sql.session import WritingSession
from perdure.backends.unit.tables import Place
from perdure.clock import Micros
from perdure.model.transition import ClaimTasks


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

# The next number to be given to a transaction is as far from any as that one's age; a snapshot's own upper bound is only that
# of those that have ended.
_WRITERS = """select 6, oldest, oldest + age((oldest % 4294967296)::text::xid)
    from (select txid_snapshot_xmin(txid_current_snapshot()) as oldest) w"""
_WRITERS_ARE = 6

# Few are due since then, many may have left the line: `+ 0` keeps from their index, which has the order.
_INSTANCES_SINCE = """select -priority, key from perdure_instances
    where phase = 1 and queue = ? and wake_at >= ? and workflow {one_of_texts} and {of_versions}
    order by priority + 0 desc, key limit ?"""
_ACTIVITIES_SINCE = """select -priority, instance_key, number, key from perdure_activities
    where phase = 1 and queue = ? and due_at >= ? and name {one_of_texts}
    order by priority + 0 desc, instance_key, number limit ?"""


class PostgresTables(NetworkTables):
    """Over the session that writes."""

    def __init__(self, session: PlanSession) -> None:
        super().__init__(session)
        self._postgres = session
        self._bounds = Bounds()

    def begin_anew(self) -> None:
        super().begin_anew()
        self._bounds.forget()

    def write_plan(self, plan: Plan, *, is_last: bool) -> None:
        session = self._postgres
        if not is_last or session.is_pooled:
            session.begin()
        kinds = tuple(plan.rows)
        text = writing(
            kinds,
            tuple(table for table, *_ in plan.lines),
            has_instances=bool(plan.instances),
            has_activities=bool(plan.activities),
            has_buckets=bool(plan.buckets),
        )
        ((is_fine, *_),) = session.fetch_direct(text, parameters_of(plan, kinds, self.generation))
        if not is_fine:
            raise Conflict("a row has changed since it was read, or somebody stands in line")
        if is_last:
            session.commit()
        for table, queue, _, now in plan.lines:
            self._looked(now, {(table, queue): None})

    # --- what waits

    def since(self, *line: Hashable) -> Micros:
        return self._bounds.since(line)

    def look_at_line(self, table: Table, queue: str, now: Micros) -> tuple[Micros | None, Micros | None]:
        ready_at, next_at = super().look_at_line(table, queue, now)
        due = [at for at in (ready_at, next_at) if at is not None and at <= now]
        self._looked(now, {(table, queue): min(due, default=None)})
        return ready_at, next_at

    def _surveyed(self, claim: ClaimTasks, now: Micros, *also: str) -> list[tuple[int, int, int]]:
        rows = super()._surveyed(claim, now, *also, _WRITERS)
        ((_, oldest, following),) = (row for row in rows if row[0] == _WRITERS_ARE)
        lines: dict[tuple[int, int], Hashable] = {(sql.HELD_DUE, 0): ("held", claim.worker_key)}
        for place, queue in enumerate(claim.workflow_queues):
            lines[sql.INSTANCE_DUE, place] = ("instances", queue, claim.workflow_names, claim.versions)
        for place, queue in enumerate(claim.activity_queues):
            lines[sql.ACTIVITY_DUE, place] = ("activities", queue, claim.activity_names)
        firsts: dict[Hashable, Micros | None] = dict.fromkeys(lines.values())
        for kind, at, place in sorted(rows, key=itemgetter(1), reverse=True):
            if (kind, place) in lines:
                firsts[lines[kind, place]] = at
        if not self.session.is_in_transaction:  # where age is counted from that one's own number
            self._bounds.saw(now, oldest, following)
        self._looked(now, firsts)
        return rows

    def _looked(self, now: Micros, firsts: dict[Hashable, Micros | None]) -> None:
        for line, first_at in firsts.items():
            self._bounds.found(now, line, first_at)

    def ready_instances(
        self, queue: str, names: frozenset[str], versions: frozenset[str] | None, limit: int, *, lock: bool = False
    ) -> list[Place]:
        line = ("instances", queue, names, versions)
        if not self._bounds.is_recent(line):
            return super().ready_instances(queue, names, versions, limit, lock=lock)
        of_versions = self._any_version if versions is None else self._texts(sorted(versions))
        parameters = (queue, self.since(*line), self._texts(sorted(names)), of_versions, of_versions, limit)
        return self._execute(_locking(_INSTANCES_SINCE, lock=lock), parameters).fetchall()

    def ready_activities(
        self, queue: str, names: frozenset[str], limit: int, *, lock: bool = False
    ) -> list[tuple[int, int, int, int]]:
        line = ("activities", queue, names)
        if not self._bounds.is_recent(line):
            return super().ready_activities(queue, names, limit, lock=lock)
        parameters = (queue, self.since(*line), self._texts(sorted(names)), limit)
        return self._execute(_locking(_ACTIVITIES_SINCE, lock=lock), parameters).fetchall()

    # --- the seal

    def set_seal(self, target: str | None) -> None:
        """Not before the users' own transactions have ended that write here (joining.py)."""
        session = self._postgres
        session.begin()
        session.fetch_direct("select pg_advisory_xact_lock($1)", (seal_lock(session.schema),))
        super().set_seal(target)

    def keep_others_out(self) -> None:
        self._postgres.execute(_KEEP_OUT)


def _locking(template: str, *, lock: bool) -> str:
    return template + "{skip_locked}" if lock else template


def seal_lock(schema: str | None) -> int:
    """The advisory lock of who seals the store; a transaction of a user's has a share of it."""
    return crc32(f"perdure seal {schema}".encode())
