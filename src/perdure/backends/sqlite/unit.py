"""The unit of work: the rows that a batch of transitions reads and changes, between the tables and the rules.

The rules (rules/) change rows in memory and say so; the unit writes what has changed, each row once, by a handful of
statements (bulk.py). So a cached step costs no reads and one write per row, however many transitions of a batch touch it.

Rows stay here between batches. That is sound for as long as this connection is the only one that writes: `begin` asks
SQLite (`pragma data_version`) whether anybody else has committed since, inside the write transaction, and forgets
everything if so. A rolled-back batch forgets everything, too. Statements that change rows behind the cache's back must
call `forget` or leave cached columns alone (`phase` isn't cached: it is derived when a row is written).

Fences hold: a row is looked at inside `begin immediate`, so nobody can change it between the look and the write.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from perdure.backends.admission import Bucket
from perdure.backends.endings import MESSAGES_KEPT
from perdure.backends.keys import KeySource
from perdure.backends.protocol import WorkerStart
from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.heads import Heads
from perdure.backends.sqlite.rows import (
    BEGUN,
    ENDED,
    RESHAPED,
    STEPPED,
    ActivityRow,
    InstanceRow,
    decode_pending,
    encode,
)
from perdure.backends.sqlite.wakes import Wakes
from perdure.backends.sqlite.writes import Writes
from perdure.clock import Micros
from perdure.model.inspection import QueueLimits
from perdure.model.task import PendingEvent, PendingPayload

_MOST_ROWS = 20_000  # of each kind, kept between batches: some 30 MB at worst

as_json = msgspec.json.Encoder().encode
_decode_start = msgspec.msgpack.Decoder(WorkerStart).decode
_decode_limits = msgspec.json.Decoder(QueueLimits).decode


class Unit:
    """Rows, read when first asked for and written by `flush`. Belongs to the thread that writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.now: Micros = 0
        dice = random.Random()  # seeded by the system; a forked child makes units of its own
        self.draw_token = partial(dice.getrandbits, 63)
        self.keys = KeySource(self.draw_token)
        self.wakes = Wakes()
        self.writes = Writes(connection)
        self.heads = Heads()
        self._instances: dict[int, InstanceRow] = {}
        self._keys: dict[str, int] = {}
        self._activities: dict[int, ActivityRow] = {}
        self._absent: set[str] = set()
        self._passing: list[int] = []
        self._limits: dict[str, QueueLimits] | None = None
        self._running: dict[str, int] = {}
        self._workers: dict[int, WorkerStart | None] = {}
        self._seal: tuple[str | None] | None = None
        self._version = -1

    # --- the life of a batch

    def begin(self, now: Micros) -> bool:
        """A write transaction has begun. Whether somebody else has written since the last one."""
        self.now = now
        self.wakes = Wakes()
        self.writes.bytes = 0
        self.heads.clear()
        return self.notice_strangers()

    def notice_strangers(self) -> bool:
        """Whether another connection has committed since this was last asked; then nothing is cached any more."""
        (version,) = self.connection.execute("pragma data_version").fetchone()
        if version == self._version:
            return False
        self.forget()
        is_first, self._version = self._version == -1, version
        return not is_first

    def flush(self) -> None:
        """Write what has changed, so that queries see it."""
        if self.writes.flush(self):
            self.heads.activities.clear()
        self.heads.written()

    def committed(self) -> None:
        """Let go of rows that no step will need again."""
        for key in self._passing:
            row = self._instances.pop(key, None)
            if row is not None:
                self._keys.pop(row.instance_id, None)
        self._passing.clear()
        self._absent.clear()
        while len(self._instances) > _MOST_ROWS:
            row = self._instances.pop(next(iter(self._instances)))
            self._keys.pop(row.instance_id, None)
        while len(self._activities) > _MOST_ROWS:
            del self._activities[next(iter(self._activities))]

    def forget(self) -> None:
        """Forget every row, changed or not: the transaction was rolled back, or others have written."""
        self.writes.clear()
        self.wakes = Wakes()
        self.rows_changed()
        self._workers.clear()
        self._limits = self._seal = None

    def rows_changed(self) -> None:
        """A statement has changed rows that may be here. Everything was flushed before it."""
        self._instances.clear()
        self._keys.clear()
        self._activities.clear()
        self._absent.clear()
        self._passing.clear()
        self._running.clear()
        self.heads.clear()

    def prefetch(self, ids: Iterable[str], instance_keys: Iterable[int], activity_keys: Iterable[int]) -> None:
        """Read what a batch will ask for by a statement of each kind."""
        wanted_ids = [instance_id for instance_id in ids if instance_id not in self._keys]
        if wanted_ids:
            self._absent.update(wanted_ids)
            self._load(sql.INSTANCES_BY_IDS, as_json(wanted_ids).decode())
        wanted = [key for key in activity_keys if key not in self._activities]
        if wanted:
            for values in self.connection.execute(sql.ACTIVITIES_BY_KEYS, (as_json(wanted).decode(),)):
                self._activities.setdefault(values[0], ActivityRow(*values))
        wanted_keys = {key for key in instance_keys if key not in self._instances}
        wanted_keys.update(
            activity.instance_key
            for key in wanted
            if (activity := self._activities.get(key)) is not None and activity.instance_key not in self._instances
        )
        if wanted_keys:
            self._load(sql.INSTANCES_BY_KEYS, as_json(list(wanted_keys)).decode())

    # --- instances

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess that any thread may ask for; that it was wrong is told when strangers' writes are noticed."""
        key = self._keys.get(instance_id)
        row = None if key is None else self._instances.get(key)
        return row is not None and row.state == 0

    def instance(self, key: int) -> InstanceRow | None:
        row = self._instances.get(key)
        return self._load(sql.INSTANCE_BY_KEY, key) if row is None else row

    def instance_by_id(self, instance_id: str) -> InstanceRow | None:
        key = self._keys.get(instance_id)
        if key is not None:
            return self._instances[key]
        if instance_id in self._absent:
            return None
        return self._load(sql.INSTANCE_BY_ID, instance_id)

    def add_instance(self, row: InstanceRow) -> None:
        row.is_new = True
        row.pending = []
        self._absent.discard(row.instance_id)
        self._instances[row.key] = row
        self._keys[row.instance_id] = row.key
        self.writes.instances[row.key] = row
        if row.started is not None:
            self.writes.bytes += len(row.started)
        if row.worker is None:
            self.heads.loose.append(row)

    def change(self, row: InstanceRow, shape: int = STEPPED) -> None:
        """The row has changed, in what `shape` says."""
        if row.shape < shape:
            row.shape = RESHAPED if row.shape == ENDED else shape
        elif shape == ENDED and row.shape == BEGUN:
            row.shape = RESHAPED
        self.writes.instances[row.key] = row
        if row.state:
            self._passing.append(row.key)
        elif row.worker is None:
            self.heads.loose.append(row)

    def remove_instance(self, row: InstanceRow) -> None:
        """Everything of it goes, at once."""
        for activity in self.activities_of(row):
            self.remove_activity(activity)
        self.flush()
        for statement in sql.REMOVE_INSTANCE:
            self.connection.execute(statement, (row.key,))
        self._instances.pop(row.key, None)
        self._keys.pop(row.instance_id, None)
        self.wakes.outcomes.pop(row.instance_id, None)
        self.wakes.gone.add(row.instance_id)

    def _load(self, statement: str, parameter: str | int) -> InstanceRow | None:
        row = None
        for values in self.connection.execute(statement, (parameter,)).fetchall():
            if values[0] in self._instances:  # what is here may have changed since it was read
                row = self._instances[values[0]]
                continue
            row = InstanceRow(*values)
            if not row.pending_count:
                row.pending = []
            self._instances[row.key] = row
            self._keys[row.instance_id] = row.key
            self._absent.discard(row.instance_id)
            if row.state:
                self._passing.append(row.key)
        return row

    # --- history and pending events

    def write_history(self, row: InstanceRow, encoded: bytes, count: int) -> None:
        """Append the events of one commit."""
        self.writes.events += (row.key, row.execution_number, row.position, bytearray(encoded))
        self.writes.bytes += len(encoded)
        row.position += count
        row.history_bytes += len(encoded)
        row.updated_at = self.now
        if row.shape < STEPPED:
            self.change(row)

    def pending_of(self, row: InstanceRow) -> list[PendingEvent]:
        """In order of arrival. Raises StoreCorrupt."""
        if row.pending is None:
            self.writes.flush_pending()
            found = self.connection.execute(sql.PENDING_OF, (row.key,)).fetchall()
            row.pending = [PendingEvent(number, decode_pending(event)) for number, event in found]
        return row.pending

    def add_pending(self, row: InstanceRow, event: PendingPayload) -> None:
        """Give the event the instance's next number; when the instance is due is up to the caller."""
        number = row.next_pending
        encoded = encode(event)
        self.writes.pending += (row.key, number, bytearray(encoded))
        self.writes.bytes += len(encoded)
        if row.pending is not None:
            row.pending.append(PendingEvent(number, event))
        row.next_pending = number + 1
        row.pending_count += 1
        self.change(row)

    def drop_pending(self, row: InstanceRow, numbers: Sequence[int]) -> None:
        """These were applied, or nobody waits for them any more. Number 0, ExecutionStarted, isn't among them."""
        if not numbers:
            return
        gone = set(numbers)
        kept = [event for event in self.pending_of(row) if event.id not in gone]
        row.pending, row.pending_count = kept, len(kept)
        self.writes.dropped_pending.extend(value for number in gone for value in (row.key, number))
        self.change(row)

    def clear_pending(self, row: InstanceRow) -> None:
        """Nothing that has arrived will be applied."""
        if row.pending_count:
            self.writes.flush_pending()
            self.connection.execute(sql.CLEAR_PENDING, (row.key,))
            row.pending_count = 0
            self.change(row)
        row.pending = []

    # --- activities

    def activity(self, key: int) -> ActivityRow | None:
        row = self._activities.get(key)
        if row is not None:
            return row
        values = self.connection.execute(sql.ACTIVITY_BY_KEY, (key,)).fetchone()
        if values is None or key in self.writes.removed_activities:
            return None
        row = self._activities[key] = ActivityRow(*values)
        return row

    def activities_of(self, row: InstanceRow) -> list[ActivityRow]:
        """By number; those of earlier executions that still run, too."""
        if not row.open_activities:
            return []
        self.flush()
        found = self.connection.execute(sql.ACTIVITIES_OF, (row.key,)).fetchall()
        return [self._activities.setdefault(values[0], ActivityRow(*values)) for values in found]

    def add_activity(self, instance: InstanceRow, row: ActivityRow) -> None:
        row.is_new = True
        instance.open_activities += 1
        self.change(instance)
        self.writes.bytes += len(row.body)
        self._activities[row.key] = self.writes.activities[row.key] = row

    def change_activity(self, row: ActivityRow) -> None:
        """What an attempt changes has changed."""
        if row.worker is None:
            self.heads.activities_moved()
        self.writes.activities[row.key] = row

    def lease_activity(self, row: ActivityRow, worker: int, token: int) -> None:
        row.worker, row.token = worker, token
        if row.limited and row.queue in self._running:
            self._running[row.queue] += 1
        self.writes.activities[row.key] = row

    def release_activity(self, row: ActivityRow) -> None:
        """End the lease."""
        if row.worker is None:
            return
        row.worker = row.token = None
        self.heads.activities_moved()
        self._free_permit(row)
        self.writes.activities[row.key] = row

    def _free_permit(self, row: ActivityRow) -> None:
        if row.limited:
            self.wakes.activity_due(row.queue, self.now)
            if row.queue in self._running:
                self._running[row.queue] -= 1

    def remove_activity(self, row: ActivityRow) -> None:
        if row.worker is None:
            self.heads.activities_moved()
        else:
            self._free_permit(row)
        self._activities.pop(row.key, None)
        self.writes.remove_activity(row)
        instance = self.instance(row.instance_key)
        if instance is not None:
            instance.open_activities -= 1
            self.change(instance)

    # --- the rest

    def has_seen(self, row: InstanceRow, message_id: bytes) -> bool:
        """Whether the message came before and is still remembered."""
        if row.is_new and not self.writes.receipts:
            return False
        self.writes.flush_receipts()
        found = self.connection.execute(sql.RECEIPT, (row.key, message_id)).fetchone()
        return found is not None and found[0] > self.now

    def remember(self, row: InstanceRow, message_id: bytes, keep: Micros = MESSAGES_KEPT) -> None:
        self.writes.receipts += (row.key, bytearray(message_id), self.now + keep)

    def limits(self) -> dict[str, QueueLimits]:
        """Of the queues that have any."""
        if self._limits is None:
            found = self.connection.execute(sql.QUEUE_LIMITS).fetchall()
            self._limits = {name: _decode_limits(value) for name, value in found}
        return self._limits

    def limits_changed(self) -> None:
        self._limits = None
        self.rows_changed()

    def running(self, queue: str) -> int:
        """Leased activities of a queue that has limits."""
        if queue not in self._running:
            self.flush()
            (self._running[queue],) = self.connection.execute(sql.RUNNING_ACTIVITIES, (queue,)).fetchone()
        return self._running[queue]

    def bucket(self, queue: str) -> Bucket | None:
        found = self.connection.execute(sql.BUCKET, (queue,)).fetchone()
        return None if found is None else Bucket(*found)

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        self.connection.execute(sql.PUT_BUCKET, (queue, bucket.level, bucket.at))

    def worker(self, key: int) -> WorkerStart | None:
        """What a worker serves; None for one that was marked dead or forgotten."""
        if key not in self._workers:
            found = self.connection.execute(sql.LIVE_WORKER, (key,)).fetchone()
            self._workers[key] = None if found is None else _decode_start(found[0])
        return self._workers[key]

    def worker_changed(self, key: int) -> None:
        self._workers.pop(key, None)
        self.heads.instances.pop(key, None)

    def seal_changed(self) -> None:
        self._seal = None

    def seal_target(self) -> str | None:
        """Where the store was moved to."""
        seal = self._seal
        if seal is None:
            seal = self._seal = self.connection.execute(sql.SEAL_TARGET).fetchone() or (None,)
        return seal[0]
