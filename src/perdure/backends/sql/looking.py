"""`Looking` in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perdure.backends.exports import Snapshot
from perdure.backends.looking import HistoryRow
from perdure.backends.protocol import WorkerStart
from perdure.backends.sql.inspection import endings, history, instances, outcomes, queues, snapshots
from perdure.backends.sql.session import Session
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import Ended, InstanceFilter, Page, PendingActivity, QueueStatus, WorkerStatus
from perdure.model.instance import Execution, Instance, Outcome, State


class SqlLooking:
    """Over a session that reads."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def read_instance(self, instance_id: str) -> Instance:
        return instances.read_instance(self.session, instance_id)

    def read_executions(self, instance_id: str) -> Sequence[Execution]:
        return instances.read_executions(self.session, instance_id)

    def read_started(self, instance_id: str) -> ExecutionStarted:
        return history.read_started(self.session, instance_id)

    def read_outcome(self, instance_id: str) -> Outcome | None:
        return outcomes.read_outcome(self.session, instance_id)

    def read_published(self, instance_id: str, name: str) -> bytes | None:
        return instances.read_published(self.session, instance_id, name)

    def read_activities(self, instance_id: str) -> Sequence[PendingActivity]:
        return instances.read_activities(self.session, instance_id)

    def instance_key(self, instance_id: str) -> int:
        return history.instance_key(self.session, instance_id)

    def execution_number(self, instance_key: int, execution_id: bytes | None) -> int | None:
        return history.execution_number(self.session, instance_key, execution_id)

    def read_rows(self, instance_key: int, number: int, from_position: int) -> tuple[list[HistoryRow], bool]:
        return history.read_rows(self.session, instance_key, number, from_position)

    def read_histories(self, executions: Mapping[int, bytes]) -> dict[int, list[HistoryRow]]:
        return history.read_current(self.session, executions)

    def list_instances(self, where: InstanceFilter, cursor: str | None, limit: int) -> Page[Instance]:
        return instances.list_instances(self.session, where, cursor, limit)

    def count_instances(self, where: InstanceFilter) -> dict[State, int]:
        return instances.count_instances(self.session, where)

    def list_queues(self, now: Micros) -> Sequence[QueueStatus]:
        return queues.list_queues(self.session, now)

    def list_workers(self, now: Micros) -> Sequence[WorkerStatus]:
        return queues.list_workers(self.session, now)

    def read_start(self, worker_key: int) -> WorkerStart | None:
        return queues.read_start(self.session, worker_key)

    def read_blob(self, blob_id: bytes) -> bytes | None:
        return queues.read_blob(self.session, blob_id)

    def list_settings(self, kind: str) -> dict[str, bytes]:
        return queues.list_settings(self.session, kind)

    def next_keys(self, where: InstanceFilter, after: int) -> list[int]:
        return snapshots.next_keys(self.session, where, after)

    def ended_keys(self, where: InstanceFilter, after: Ended | None, limit: int) -> list[Ended]:
        return endings.ended_keys(self.session, where, after, limit)

    def expired_keys(self, now: Micros, limit: int) -> list[int]:
        return endings.expired_keys(self.session, now, limit)

    def snapshot_of(self, key: int) -> Snapshot | None:
        return snapshots.snapshot_of(self.session, key)

    def read_ended(self, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
        return outcomes.read_ended(self.session, ids, questions)
