"""`Looking` on one partition of a Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from perdure.backends.cursors import decode_cursor, encode_cursor
from perdure.backends.exports import Snapshot
from perdure.backends.looking import HistoryRow, not_found
from perdure.backends.protocol import WorkerStart
from perdure.backends.redis import histories, listing, overview
from perdure.backends.redis.buffer import as_dict
from perdure.backends.redis.encoding import decode, decode_activity, decode_instance
from perdure.backends.redis.keys import Keys, pack, unpack
from perdure.backends.redis.scripts import Client, Command, read
from perdure.backends.redis.shown import as_activity, as_execution, as_instance, outcome_of
from perdure.backends.redis.snapshots import snapshot_of
from perdure.backends.redis.workers import worker_row
from perdure.backends.rows import InstanceRow, decode_started
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import Ended, InstanceFilter, Page, PendingActivity, QueueStatus, WorkerStatus
from perdure.model.instance import Execution, Instance, Outcome, State

_KEYS = 500


class RedisLooking:
    """Over a client, in whose thread it is used."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self.client = client
        self.keys = keys

    # --- one instance

    def read_instance(self, instance_id: str) -> Instance:
        return self.as_instances([self._find(instance_id)])[0]

    def read_executions(self, instance_id: str) -> Sequence[Execution]:
        row = self._find(instance_id)
        (found,) = self._read(("HGETALL", self.keys.executions(row.key)))
        past = sorted((int(number), decode(value)) for number, value in as_dict(found).items())
        executions = [as_execution(execution_id, number, *rest) for number, (execution_id, *rest) in past]
        current = (row.state, row.began_at, row.ended_at, row.position)
        return [*executions, as_execution(row.execution_id, row.execution_number, *current)]

    def read_started(self, instance_id: str) -> ExecutionStarted:
        row = self._find(instance_id)
        if row.started is not None:
            return decode_started(row.started)
        return histories.started_of(self.client, self.keys, row.key, row.execution_number)

    def read_outcome(self, instance_id: str) -> Outcome | None:
        return outcome_of(self._find(instance_id))

    def read_published(self, instance_id: str, name: str) -> bytes | None:
        key = self.instance_key(instance_id)
        (found,) = self._read(("HGET", self.keys.published(key), name))
        return found  # type: ignore[no-any-return]

    def read_activities(self, instance_id: str) -> Sequence[PendingActivity]:
        instance = self._find(instance_id)
        first, last = b"[" + pack(instance.key), b"(" + pack(instance.key + 1)
        (members,) = self._read(("ZRANGEBYLEX", self.keys.open, first, last))
        if not members:
            return []
        (values,) = self._read(("HMGET", self.keys.activities, *(member[8:] for member in members)))
        rows = [decode_activity(value) for value in values if value is not None]
        waited_for = [row for row in rows if row.execution_number == instance.execution_number and not row.orphaned]
        names = self._names([row.worker for row in waited_for])
        waited_for.sort(key=lambda row: row.number)
        return [as_activity(row, names.get(row.worker)) for row in waited_for]

    def instance_key(self, instance_id: str) -> int:
        (found,) = self._read(("HGET", self.keys.ids, instance_id))
        if found is None:
            raise not_found(instance_id)
        return unpack(found)

    def execution_number(self, instance_key: int, execution_id: bytes | None) -> int | None:
        row = self._row(instance_key)
        if row is None:
            return None
        if execution_id is None or execution_id == row.execution_id:
            return row.execution_number
        (past,) = self._read(("HGETALL", self.keys.executions(instance_key)))
        numbers = {decode(value)[0]: int(number) for number, value in as_dict(past).items()}
        return numbers.get(execution_id)

    def read_rows(self, instance_key: int, number: int, from_position: int) -> tuple[list[HistoryRow], bool]:
        return histories.read_rows(self.client, self.keys, instance_key, number, from_position)

    def read_histories(self, executions: Mapping[int, bytes]) -> dict[int, list[HistoryRow]]:
        (found,) = self._read(("HMGET", self.keys.instances, *map(pack, executions)))
        rows = [decode_instance(value) for value in found if value is not None]
        current = [row for row in rows if row.execution_id == executions[row.key]]
        return histories.read_whole(self.client, self.keys, current)

    def snapshot_of(self, key: int) -> Snapshot | None:
        return snapshot_of(self.client, self.keys, key)

    # --- many

    def list_instances(self, where: InstanceFilter, cursor: str | None, limit: int) -> Page[Instance]:
        below = None if cursor is None else decode_cursor(cursor)
        found = list(islice(listing.matching(self.client, self.keys, where, below=below), limit + 1))
        page = found[:limit]
        following = encode_cursor(page[-1].key) if len(found) > limit and page else None
        return Page(tuple(self.as_instances(page)), following)

    def count_instances(self, where: InstanceFilter) -> dict[State, int]:
        return listing.count(self.client, self.keys, where)

    def next_keys(self, where: InstanceFilter, after: int) -> list[int]:
        return [row.key for row in islice(listing.matching(self.client, self.keys, where, above=after), _KEYS)]

    def ended_keys(self, where: InstanceFilter, after: Ended | None, limit: int) -> list[Ended]:
        return list(islice(listing.ended(self.client, self.keys, where, after), limit))

    def expired_keys(self, now: Micros, limit: int) -> list[int]:
        return [key for _, key in listing.expired(self.client, self.keys, now, limit)]

    def matching(
        self, where: InstanceFilter, *, below: int | None, above: int | None, page: int
    ) -> Iterator[InstanceRow]:
        """In the order of keys, falling or, above one, rising; read page by page."""
        return listing.matching(self.client, self.keys, where, below=below, above=above, page=page)

    def read_ended(self, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
        wakes = Wakes()
        found = {row.instance_id: row for row in self._rows_of(ids)}
        for instance_id in ids:
            row = found.get(instance_id)
            if row is None:
                wakes.gone.add(instance_id)
            elif (outcome := outcome_of(row)) is not None:
                wakes.outcomes[instance_id] = outcome
        if questions:
            (values,) = self._read(("HMGET", self.keys.questions, *questions))
            for question_id, value in zip(questions, values, strict=True):
                reply = None if value is None else decode(value)[2]
                if reply is not None:
                    wakes.replies[question_id] = reply
        return wakes

    # --- the store

    def list_queues(self, now: Micros) -> Sequence[QueueStatus]:
        return overview.list_queues(self.client, self.keys, now)

    def list_workers(self, now: Micros) -> Sequence[WorkerStatus]:
        return list(self.workers(now).values())

    def workers(self, now: Micros) -> dict[bytes, WorkerStatus]:
        """By key, and by start."""
        return overview.list_workers(self.client, self.keys, now)

    def read_start(self, worker_key: int) -> WorkerStart | None:
        return overview.read_start(self.client, self.keys, worker_key)

    def read_blob(self, blob_id: bytes) -> bytes | None:
        (found,) = self._read(("HGET", self.keys.blobs, blob_id))
        return found  # type: ignore[no-any-return]

    def list_settings(self, kind: str) -> dict[str, bytes]:
        (found,) = self._read(("HGETALL", self.keys.settings(kind)))
        return {name.decode(): value for name, value in sorted(as_dict(found).items())}

    # --- rows

    def _read(self, *commands: Command) -> list[Any]:
        return read(self.client, list(commands))

    def _find(self, instance_id: str) -> InstanceRow:
        found = self._rows_of([instance_id])
        if not found:
            raise not_found(instance_id)
        return found[0]

    def _row(self, key: int) -> InstanceRow | None:
        (found,) = self._read(("HGET", self.keys.instances, pack(key)))
        return None if found is None else decode_instance(found)

    def _rows_of(self, ids: Sequence[str]) -> list[InstanceRow]:
        """Those that exist."""
        if not ids:
            return []
        (found,) = self._read(("HMGET", self.keys.ids, *ids))
        keys = [key for key in found if key is not None]
        if not keys:
            return []
        (values,) = self._read(("HMGET", self.keys.instances, *keys))
        return [decode_instance(value) for value in values if value is not None]

    def as_instances(self, rows: Sequence[InstanceRow]) -> list[Instance]:
        """As operators see them."""
        names = self._names([row.worker for row in rows])
        return [as_instance(row, names.get(row.worker)) for row in rows]

    def _names(self, workers: Sequence[int | None]) -> dict[int | None, str]:
        """Of those that are known."""
        wanted = [worker for worker in set(workers) if worker is not None]
        if not wanted:
            return {}
        (values,) = self._read(("HMGET", self.keys.workers, *map(pack, wanted)))
        found = zip(wanted, values, strict=True)
        return {worker: worker_row(value).name for worker, value in found if value is not None}
