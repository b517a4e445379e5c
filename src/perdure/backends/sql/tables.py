"""`Tables` in SQL: all but the rows that a batch writes, for which each database has its own way."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from perdure.backends.admission import Bucket
from perdure.backends.apart import BLOB_THRESHOLD
from perdure.backends.protocol import Question, WorkerStart
from perdure.backends.rows import ActivityRow, InstanceRow
from perdure.backends.sql import statements as sql
from perdure.backends.sql.lines import Table
from perdure.backends.sql.session import Session
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.tables import House, Place, Survey, WorkerRow
from perdure.clock import Micros
from perdure.model.transition import ClaimTasks

_LINES = {"instances": sql.LINE_OF_INSTANCES, "activities": sql.LINE_OF_ACTIVITIES}


class SqlTables:
    """Over a session, in whose thread it is used."""

    blob_threshold: int = BLOB_THRESHOLD

    def __init__(self, session: Session) -> None:
        dialect = session.dialect
        self.session = session
        self._execute = session.execute
        self._texts, self._keys = dialect.texts, dialect.keys
        self._any_version = dialect.any_version
        self._put_setting = dialect.upsert("perdure_settings", ("kind", "name", "value"), 2)
        self._put_seal = dialect.upsert("perdure_seal", ("id", "target"), 1)
        self._put_blob = dialect.insert_once("perdure_blobs", ("id", "instance_key", "data"))

    # --- instances and what belongs to them

    def instances_by_id(self, ids: Sequence[str]) -> Iterable[InstanceRow]:
        if len(ids) == 1:
            found = self._execute(sql.INSTANCE_BY_ID, (ids[0],))
        else:
            found = self._execute(sql.INSTANCES_BY_IDS, (self._texts(ids),))
        return [InstanceRow(*values) for values in found.fetchall()]

    def instances_by_key(self, keys: Sequence[int]) -> Iterable[InstanceRow]:
        if len(keys) == 1:
            found = self._execute(sql.INSTANCE_BY_KEY, (keys[0],))
        else:
            found = self._execute(sql.INSTANCES_BY_KEYS, (self._keys(keys),))
        return [InstanceRow(*values) for values in found.fetchall()]

    def activities_by_key(self, keys: Sequence[int]) -> Iterable[ActivityRow]:
        if len(keys) == 1:
            found = self._execute(sql.ACTIVITY_BY_KEY, (keys[0],))
        else:
            found = self._execute(sql.ACTIVITIES_BY_KEYS, (self._keys(keys),))
        return [ActivityRow(*values) for values in found.fetchall()]

    def activities_of(self, instance_key: int) -> Iterable[ActivityRow]:
        return [ActivityRow(*values) for values in self._execute(sql.ACTIVITIES_OF, (instance_key,)).fetchall()]

    def pending_of(self, instance_key: int) -> list[tuple[int, bytes]]:
        return self._execute(sql.PENDING_OF, (instance_key,)).fetchall()

    def receipt_expiry(self, instance_key: int, message_id: bytes) -> Micros | None:
        found = self._execute(sql.RECEIPT, (instance_key, message_id)).fetchone()
        return None if found is None else found[0]

    def running_children(self, parent_id: str, parent_execution: bytes) -> list[int]:
        return self._first_column(sql.RUNNING_CHILDREN, parent_id, parent_execution)

    def is_past_execution(self, instance_key: int, execution_id: bytes) -> bool:
        return self._execute(sql.IS_PAST_EXECUTION, (instance_key, execution_id)).fetchone() is not None

    def count_children(self, parent_id: str, parent_execution: bytes) -> int:
        (count,) = self._execute(sql.COUNT_CHILDREN, (parent_id, parent_execution)).fetchone()
        return int(count)

    def free_instances(self, keys: Sequence[int]) -> list[int]:
        return self._first_column(sql.FREE_INSTANCES, self._keys(keys))

    def remove_instances(self, rows: Sequence[InstanceRow]) -> None:
        keys = self._keys([row.key for row in rows])
        for statement in sql.REMOVE_INSTANCES:
            self._execute(statement, (keys,))

    def put_blob(self, instance_key: int, blob_id: bytes, data: bytes) -> None:
        self._execute(self._put_blob, (blob_id, instance_key, data))

    def _write_blobs(self, changes: Changes) -> None:
        """One by one: a statement's size is bounded."""
        for slot, instance_key in changes.dropped_blobs.items():
            self._execute(sql.DROP_BLOBS, (instance_key, slot, (int.from_bytes(slot) + 1).to_bytes(len(slot) + 1)[1:]))
        for blob_id, (instance_key, data) in changes.blobs.items():
            self.put_blob(instance_key, blob_id, data)

    # --- what waits

    def ready_instances(
        self, queue: str, names: frozenset[str], versions: frozenset[str] | None, limit: int, *, lock: bool = False
    ) -> list[Place]:
        of_versions = self._any_version if versions is None else self._texts(sorted(versions))
        statement = sql.CLAIMABLE_INSTANCES if lock else sql.READY_INSTANCES
        parameters = (queue, self._texts(sorted(names)), of_versions, of_versions, limit)
        return self._execute(statement, parameters).fetchall()

    def held_instances(self, worker_key: int, now: Micros, limit: int) -> list[Place]:
        since = self.since("held", worker_key)
        return self._execute(sql.HELD_INSTANCES, (worker_key, since, now, limit)).fetchall()

    def ready_activities(
        self, queue: str, names: frozenset[str], limit: int, *, lock: bool = False
    ) -> list[tuple[int, int, int, int]]:
        statement = sql.CLAIMABLE_ACTIVITIES if lock else sql.READY_ACTIVITIES
        return self._execute(statement, (queue, self._texts(sorted(names)), limit)).fetchall()

    def do_instances_wait(self, queue: str, now: Micros) -> tuple[bool, bool]:
        return self.do_wait("instances", queue, now)

    def do_activities_wait(self, queue: str, now: Micros) -> tuple[bool, bool]:
        return self.do_wait("activities", queue, now)

    def do_wait(self, table: Table, queue: str, now: Micros) -> tuple[bool, bool]:
        """Whether the moment of any has come that isn't marked ready, and whether any is ready."""
        ready_at, next_at = self.look_at_line(table, queue, now)
        return next_at is not None and next_at <= now, ready_at is not None

    def look_at_line(self, table: Table, queue: str, now: Micros) -> tuple[Micros | None, Micros | None]:
        """When one became ready, if any is, and when the moment comes of the first of the others."""
        since = self.since(table, queue)
        ready_at, next_at = self._execute(_LINES[table], (queue, since, queue, since)).fetchone()
        return ready_at, next_at

    def since(self, *line: Hashable) -> Micros:
        """Nobody stands in the line who is due since before that."""
        return 0

    def promote_instances(self, queue: str, now: Micros) -> None:
        self._execute(sql.PROMOTE_INSTANCES, (queue, self.since("instances", queue), now))

    def promote_activities(self, queue: str, now: Micros) -> None:
        self._execute(sql.PROMOTE_ACTIVITIES, (queue, self.since("activities", queue), now))

    def survey(self, claim: ClaimTasks, now: Micros) -> Survey:
        return self._survey_of(self._surveyed(claim, now))

    def _surveyed(self, claim: ClaimTasks, now: Micros, *also: str) -> list[tuple[int, int, int]]:
        worker = claim.worker_key
        names = self._texts(sorted(claim.workflow_names))
        versions = self._any_version if claim.versions is None else self._texts(sorted(claim.versions))
        activity_names = self._texts(sorted(claim.activity_names))
        parameters: list[object] = [worker, self.since("held", worker), now, worker, now, worker]
        for queue in claim.workflow_queues:
            since = self.since("instances", queue, claim.workflow_names, claim.versions)
            parameters += (queue, since, names, versions, versions, queue, since, now)
            parameters += (queue, now, names, versions, versions)
        for queue in claim.activity_queues:
            since = self.since("activities", queue, claim.activity_names)
            parameters += (queue, since, activity_names, queue, since, now, queue, now, activity_names)
        statement = sql.survey(len(claim.workflow_queues), len(claim.activity_queues), *also)
        return self._execute(statement, parameters).fetchall()

    def _survey_of(self, rows: list[tuple[int, int, int]]) -> Survey:
        kinds = {kind for kind, *_ in rows}
        return Survey(
            has_workflow_task=sql.HELD_DUE in kinds or sql.INSTANCE_DUE in kinds,
            has_activity=sql.ACTIVITY_DUE in kinds,
            next_due_at=min((at for kind, at, _ in rows if kind == sql.DUE_LATER), default=None),
            told=tuple((key, token) for kind, key, token in rows if kind == sql.TOLD),
        )

    # --- limits

    def queue_limits(self) -> list[tuple[str, bytes]]:
        return self._execute(sql.QUEUE_LIMITS).fetchall()

    def running_activities(self, queue: str) -> int:
        (count,) = self._execute(sql.RUNNING_ACTIVITIES, (queue,)).fetchone()
        return int(count)

    def bucket(self, queue: str, *, lock: bool = False) -> Bucket | None:
        found = self._execute(sql.BUCKET, (queue,)).fetchone()
        return None if found is None else Bucket(*found)

    def limit_activities(self, queue: str, *, is_limited: bool) -> None:
        self._execute(sql.LIMIT_ACTIVITIES, (int(is_limited), queue))

    # --- workers

    def worker_start(self, worker_key: int) -> bytes | None:
        found = self._execute(sql.LIVE_WORKER, (worker_key,)).fetchone()
        return None if found is None else found[0]

    def insert_worker(self, row: WorkerRow) -> None:
        self._execute(sql.INSERT_WORKER, tuple(getattr(row, column) for column in WorkerRow.__struct_fields__))

    def put_worker_start(self, worker_key: int, start: bytes) -> None:
        self._execute(sql.PUT_WORKER_START, (start, worker_key))

    def beat(self, worker_key: int, now: Micros) -> bool:
        return self._execute(sql.BEAT, (now, now, now, worker_key)).rowcount == 1

    def delete_worker(self, worker_key: int) -> None:
        self._execute(sql.DELETE_WORKER, (worker_key,))

    def all_workers(self) -> list[int]:
        return self._first_column(sql.ALL_WORKERS)

    def lapsed_workers(self, now: Micros) -> list[int]:
        return self._first_column(sql.LAPSED_WORKERS, now)

    def leases_of_dead(self, since: Micros) -> list[int]:
        dead = self._first_column(sql.DEAD_WORKERS, since)
        if not dead:
            return []
        keys = self._keys(dead)
        return self._first_column(sql.LEASES_OF, keys, keys)

    def mark_worker_dead(self, worker_key: int, now: Micros) -> None:
        self._execute(sql.MARK_WORKER_DEAD, (now, now, worker_key))

    def claimed_of_worker(self, worker_key: int) -> list[int]:
        return self._first_column(sql.CLAIMED_OF_WORKER, worker_key)

    def release_instances(self, worker_key: int, now: Micros) -> list[tuple[str, Micros]]:
        waiting: list[tuple[str, Micros]] = self._execute(sql.QUEUES_HELD, (worker_key,)).fetchall()
        self._execute(sql.RELEASE_INSTANCES, (now, now, now, worker_key))
        return waiting

    def activities_of_worker(self, worker_key: int) -> list[int]:
        return self._first_column(sql.ACTIVITIES_OF_WORKER, worker_key)

    def look_round(self, now: Micros, *, died_since: Micros, workers_before: Micros) -> House:
        times = (*[now] * 5, workers_before, died_since)
        is_untidy, lapses_at, has_questions = self._execute(sql.LOOK_ROUND, times).fetchone()
        return House(bool(is_untidy), lapses_at, bool(has_questions))

    def forget(self, now: Micros, *, workers_before: Micros) -> None:
        self._execute(sql.FORGET_RECEIPTS, (now,))
        self._execute(sql.FORGET_QUESTIONS, (now,))
        self._execute(sql.FORGET_WORKERS, (workers_before,))

    # --- time

    def activities_expired(self, now: Micros, limit: int) -> list[int]:
        return self._first_column(sql.ACTIVITIES_EXPIRED, now, limit)

    def instances_past_deadline(self, now: Micros, limit: int) -> list[int]:
        return self._first_column(sql.INSTANCES_PAST_DEADLINE, now, limit)

    # --- questions

    def insert_question(self, question: Question, expires_at: Micros) -> None:
        self._execute(sql.INSERT_QUESTION, (question.question_id, question.instance_id, question.request, expires_at))

    def take_questions(self, worker_key: int, start: WorkerStart) -> list[Question]:
        found = self._execute(sql.QUESTIONS_FOR, (worker_key,)).fetchall()
        return [
            Question(question_id, instance_id, request)
            for question_id, instance_id, request, worker, *kind in found
            if (worker is not None or start.serves(*kind))
            and self._execute(sql.TAKE_QUESTION, (question_id,)).rowcount > 0
        ]

    def answer_question(self, question_id: bytes, reply: bytes) -> bool:
        return self._execute(sql.ANSWER_QUESTION, (reply, question_id)).rowcount > 0

    def delete_question(self, question_id: bytes) -> None:
        self._execute(sql.DELETE_QUESTION, (question_id,))

    # --- settings, the seal, pruning

    def put_setting(self, kind: str, name: str, value: bytes) -> None:
        self._execute(self._put_setting, (kind, name, value))

    def delete_setting(self, kind: str, name: str) -> bool:
        was_there = self._execute(sql.DELETE_SETTING, (kind, name)).rowcount > 0
        if was_there and kind == "queue":
            self._execute(sql.DELETE_BUCKET, (name,))
        return was_there

    def seal_target(self) -> str | None:
        found = self._execute(sql.SEAL_TARGET).fetchone()
        return None if found is None else found[0]

    def set_seal(self, target: str | None) -> None:
        if target is None:
            self._execute(sql.UNSEAL)
        else:
            self._execute(self._put_seal, (1, target))

    def _first_column(self, statement: str, *parameters: object) -> list[int]:
        return [row[0] for row in self._execute(statement, parameters).fetchall()]
