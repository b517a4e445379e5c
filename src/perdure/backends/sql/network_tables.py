"""`Tables` of the SQL stores behind a network: revisions, and the generation of what changes seldom.

The *generation* counts changes of the seal, of limits, and of who is alive: what a unit knows of these is good for one
generation, which each write checks.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence

from perdure.backends.admission import Bucket
from perdure.backends.network.link import Conflict
from perdure.backends.sql import statements as sql
from perdure.backends.sql.lines import Guess, Lines, Table
from perdure.backends.sql.plan import BUCKET, NEW_BUCKET, Plan, plan
from perdure.backends.sql.session import WritingSession
from perdure.backends.sql.tables import SqlTables
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.tables import Survey
from perdure.clock import Micros
from perdure.model.transition import ClaimTasks

_SETTLED = "select generation, (select target from perdure_seal) from perdure_store"
_NEXT_GENERATION = "update perdure_store set generation = generation + 1"
_FREE_ACTIVITIES = "select key from perdure_activities where key {one_of_keys}{skip_locked}"
_BUCKET = "select level, at, revision from perdure_buckets where queue = ?"
_LOCKED_BUCKET = f"{_BUCKET} for update"


class NetworkTables(SqlTables):
    """All but how a plan is written."""

    session: WritingSession

    def __init__(self, session: WritingSession) -> None:
        super().__init__(session)
        self.generation = 0
        self._dice = random.Random()  # seeded by the system
        self._buckets: dict[str, int | None] = {}
        self._lines = Lines()

    @abstractmethod
    def write_plan(self, plan: Plan, *, is_last: bool) -> None:
        """Write it, and commit if it is the last one of its batch. Raises Conflict."""

    @abstractmethod
    def keep_others_out(self) -> None:
        """Let no other transaction write until this one ends, and none that has begun to write be left."""

    def write(self, changes: Changes) -> None:
        self._write_blobs(changes)
        plan = self._plan(changes)
        self.write_plan(plan, is_last=False)
        for queue, *_, revision in (*plan.rows.get(NEW_BUCKET, ()), *plan.rows.get(BUCKET, ())):
            self._buckets[queue] = revision

    def write_last(self, changes: Changes) -> None:
        """Write what is left of a batch, and commit."""
        if changes:
            self._write_blobs(changes)
            self.write_plan(self._plan(changes), is_last=True)
        else:
            if self.session.is_in_transaction:
                self._check_generation()
            self.session.commit()
        self.forget_batch()

    def forget_batch(self) -> None:
        """It is committed, or rolled back."""
        self._buckets.clear()
        self._lines.batch_ended()

    def roll_back(self) -> None:
        """Nothing of the batch is written; a guess may have been wrong."""
        self.forget_batch()
        self._lines.forget()

    def _plan(self, changes: Changes) -> Plan:
        self._lines.written(changes)
        lines: list[Guess] = [
            (table, queue, self.since(table, queue), now) for table, queue, now in self._lines.taken()
        ]
        return plan(changes, self._buckets, lines, self._draw)

    def _draw(self) -> int:
        return self._dice.getrandbits(63)

    # --- what waits

    def do_wait(self, table: Table, queue: str, now: Micros) -> tuple[bool, bool]:
        line = (table, queue)
        # In a transaction some of the batch is written already: that would be found again, and nothing could be told from it.
        if not self.session.is_in_transaction and self._lines.take_for_empty(line, now):
            return False, False
        ready_at, next_at = self.look_at_line(table, queue, now)
        self._lines.looked(line, now, next_at, is_ready=ready_at is not None)
        return next_at is not None and next_at <= now, ready_at is not None

    def begin_anew(self) -> None:
        """Over a new connection, maybe to another server."""
        self.roll_back()

    # --- the generation

    def seal_target(self) -> str | None:
        self.generation, target = self._execute(_SETTLED).fetchone()
        return None if target is None else str(target)

    def survey(self, claim: ClaimTasks, now: Micros) -> Survey:
        rows = self._surveyed(claim, now, sql.GENERATION)
        if (sql.GENERATION_IS, self.generation, 0) not in rows:
            raise Conflict("limits, workers or the seal have changed")
        found = self._survey_of(rows)
        for queue in claim.workflow_queues if found.has_workflow_task else ():
            self._lines.is_used(("instances", queue))
        for queue in claim.activity_queues if found.has_activity else ():
            self._lines.is_used(("activities", queue))
        return found

    def _check_generation(self) -> None:
        (_, generation, _) = self._execute(sql.GENERATION).fetchone()
        if generation != self.generation:
            raise Conflict("limits, workers or the seal have changed")

    def beat(self, worker_key: int, now: Micros) -> bool:
        # By itself: a transaction would take two more round trips, and if the batch fails it is repeated.
        return self.session.execute_alone(sql.BEAT, (now, now, now, worker_key)).rowcount == 1

    def set_seal(self, target: str | None) -> None:
        # Who has looked for a seal just before must have written, or look again: the copy begins with the commit.
        self.keep_others_out()
        super().set_seal(target)
        self._next_generation()

    def put_setting(self, kind: str, name: str, value: bytes) -> None:
        super().put_setting(kind, name, value)
        self._next_generation()

    def delete_setting(self, kind: str, name: str) -> bool:
        was_there = super().delete_setting(kind, name)
        self._next_generation()
        return was_there

    def mark_worker_dead(self, worker_key: int, now: Micros) -> None:
        super().mark_worker_dead(worker_key, now)
        self._next_generation()

    def put_worker_start(self, worker_key: int, start: bytes) -> None:
        super().put_worker_start(worker_key, start)
        self._next_generation()

    def delete_worker(self, worker_key: int) -> None:
        super().delete_worker(worker_key)
        self._next_generation()

    def _next_generation(self) -> None:
        self._execute(_NEXT_GENERATION)
        self.generation += 1  # it is the next one only if nobody else changes something: the write will tell

    # --- locks of others

    def locked(self, ids: Sequence[str], instance_keys: Sequence[int], activity_keys: Sequence[int]) -> set[str | int]:
        """Which of these rows others keep locked, an activity's instance standing for it; locks the rest."""
        activities = {row.key: row.instance_key for row in self.activities_by_key(activity_keys)}
        instances = {row.key: row.instance_id for row in self.instances_by_id(ids)}
        instances |= {row.key: row.instance_id for row in self.instances_by_key([*instance_keys, *activities.values()])}
        stuck = instances.keys() - self._first_column(sql.FREE_INSTANCES, self._keys(list(instances)))
        stuck_activities = activities.keys() - self._first_column(_FREE_ACTIVITIES, self._keys(list(activities)))
        stuck_activities |= {key for key, instance in activities.items() if instance in stuck}
        return {*stuck, *(instances[key] for key in stuck), *stuck_activities}

    # --- buckets

    def bucket(self, queue: str, *, lock: bool = False) -> Bucket | None:
        found = self._execute(_LOCKED_BUCKET if lock else _BUCKET, (queue,)).fetchone()
        # The first one that this batch has seen: what it knows of the queue is as old.
        self._buckets.setdefault(queue, None if found is None else found[2])
        return None if found is None else Bucket(*found[:2])
