"""The unit of work: the rows that a batch of transitions reads and changes, between the tables and the rules.

The rules (rules/) change rows in memory and say so; the unit has the tables write what has changed, each row once. So a cached
step costs no reads and one write per row, however many transitions of a batch touch it.

Rows stay here between batches. That is sound as long as nobody else has changed them, which each store makes sure of in its
own way: SQLite asks inside the write transaction whether anybody else has written, and everything is forgotten if so; stores
with many writers write a row only if it still has the revision that was read, and what has changed is read again. A batch that
was rolled back forgets everything, too. Direct writes that change rows behind the cache's back are followed by `rows_changed`,
or leave cached columns alone (`phase` isn't cached: it is derived when a row is written).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from operator import attrgetter

import msgspec

from perdure.backends.admission import Bucket
from perdure.backends.endings import MESSAGES_KEPT
from perdure.backends.keys import KeySource
from perdure.backends.protocol import WorkerStart
from perdure.backends.rows import (
    BEGUN,
    ENDED,
    RESHAPED,
    STEPPED,
    ActivityRow,
    InstanceRow,
    decode_pending,
    encode,
)
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.heads import Heads
from perdure.backends.unit.tables import Tables
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.model.inspection import QueueLimits
from perdure.model.task import PendingEvent, PendingPayload

_MOST_ROWS = 20_000  # of each kind, kept between batches: some 30 MB at worst

_decode_start = msgspec.msgpack.Decoder(WorkerStart).decode
_decode_limits = msgspec.json.Decoder(QueueLimits).decode


class Unit:
    """Rows, read when first asked for and written by `flush`. Belongs to the thread that writes."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.now: Micros = 0
        dice = random.Random()  # seeded by the system; a forked child makes units of its own
        self.draw_token = partial(dice.getrandbits, 63)
        self.keys = KeySource(self.draw_token)
        self.wakes = Wakes()
        self.changes = Changes()
        self.heads = Heads()
        self._instances: dict[int, InstanceRow] = {}
        self._keys: dict[str, int] = {}
        self._activities: dict[int, ActivityRow] = {}
        self._absent: set[str] = set()
        self._passing: list[int] = []
        self._receipts: dict[tuple[int, bytes], Micros] = {}
        self._limits: dict[str, QueueLimits] | None = None
        self._running: dict[str, int] = {}
        self._workers: dict[int, WorkerStart | None] = {}
        self._seal: tuple[str | None] | None = None

    # --- the life of a batch

    def begin(self, now: Micros) -> None:
        """A batch begins, in which time stands still."""
        self.now = now
        self.wakes = Wakes()
        self.changes.bytes = 0
        self.heads.clear()

    def flush(self) -> None:
        """Write what has changed, so that queries see it."""
        changes = self.changes
        if changes:
            if changes.settle_phases(self):
                self.heads.activities.clear()
            self.tables.write(changes)
            changes.written()
        self.heads.written()

    def committed(self) -> None:
        """Let go of rows that no step will need again."""
        for key in self._passing:
            row = self._instances.pop(key, None)
            if row is not None:
                self._keys.pop(row.instance_id, None)
        self._passing.clear()
        self._absent.clear()
        self._receipts.clear()
        while len(self._instances) > _MOST_ROWS:
            row = self._instances.pop(next(iter(self._instances)))
            self._keys.pop(row.instance_id, None)
        while len(self._activities) > _MOST_ROWS:
            del self._activities[next(iter(self._activities))]

    def forget(self) -> None:
        """Forget every row, changed or not: the transaction was rolled back, or others have written."""
        self.changes.clear()
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
        self._receipts.clear()
        self._passing.clear()
        self._running.clear()
        self.heads.clear()

    def prefetch(self, ids: Iterable[str], instance_keys: Iterable[int], activity_keys: Iterable[int]) -> None:
        """Read what a batch will ask for by a statement of each kind."""
        wanted_ids = [instance_id for instance_id in ids if instance_id not in self._keys]
        if wanted_ids:
            self._absent.update(wanted_ids)
            self._adopt(self.tables.instances_by_id(wanted_ids))
        wanted = [key for key in activity_keys if key not in self._activities]
        if wanted:
            for stored in self.tables.activities_by_key(wanted):
                self._activities.setdefault(stored.key, stored)
        wanted_keys = {key for key in instance_keys if key not in self._instances}
        wanted_keys.update(
            activity.instance_key
            for key in wanted
            if (activity := self._activities.get(key)) is not None and activity.instance_key not in self._instances
        )
        if wanted_keys:
            self._adopt(self.tables.instances_by_key(list(wanted_keys)))

    # --- instances

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess that any thread may ask for; that it was wrong is told when strangers' writes are noticed."""
        key = self._keys.get(instance_id)
        row = None if key is None else self._instances.get(key)
        return row is not None and row.state == 0

    def instance(self, key: int) -> InstanceRow | None:
        row = self._instances.get(key)
        if row is None:
            self._adopt(self.tables.instances_by_key((key,)))
            row = self._instances.get(key)
        return row

    def instance_by_id(self, instance_id: str) -> InstanceRow | None:
        key = self._keys.get(instance_id)
        if key is None:
            if instance_id in self._absent:
                return None
            self._adopt(self.tables.instances_by_id((instance_id,)))
            key = self._keys.get(instance_id)
        return None if key is None else self._instances[key]

    def children_of(self, row: InstanceRow) -> list[InstanceRow]:
        """The running sub-workflows of the current execution, oldest first."""
        parent = (row.instance_id, row.execution_id)
        keys = set(self.tables.running_children(*parent))
        keys.update(
            some.key for some in self.changes.instances.values() if (some.parent_id, some.parent_execution) == parent
        )
        children = (self.instance(key) for key in sorted(keys))
        return [child for child in children if child is not None and child.is_running]

    def add_instance(self, row: InstanceRow) -> None:
        row.is_new = True
        row.pending = []
        self._absent.discard(row.instance_id)
        self._instances[row.key] = row
        self._keys[row.instance_id] = row.key
        self.changes.instances[row.key] = row
        if row.started is not None:
            self.changes.bytes += len(row.started)
        if row.worker is None:
            self.heads.loose.append(row)

    def change(self, row: InstanceRow, shape: int = STEPPED) -> None:
        """The row has changed, in what `shape` says."""
        if row.shape < shape:
            row.shape = RESHAPED if row.shape == ENDED else shape
        elif shape == ENDED and row.shape == BEGUN:
            row.shape = RESHAPED
        self.changes.instances[row.key] = row
        if row.state:
            self._passing.append(row.key)
        elif row.worker is None:
            self.heads.loose.append(row)

    def remove_instance(self, row: InstanceRow) -> None:
        """Everything of it goes, at once."""
        for activity in self.activities_of(row):
            self.remove_activity(activity)
        self.flush()
        self.tables.remove_instance(row)
        self._instances.pop(row.key, None)
        self._keys.pop(row.instance_id, None)
        self.wakes.outcomes.pop(row.instance_id, None)
        self.wakes.gone.add(row.instance_id)

    def _adopt(self, rows: Iterable[InstanceRow]) -> None:
        """Take in what was read."""
        for row in rows:
            if row.key in self._instances:  # what is here may have changed since it was read
                continue
            if not row.pending_count:
                row.pending = []
            self._instances[row.key] = row
            self._keys[row.instance_id] = row.key
            self._absent.discard(row.instance_id)
            if row.state:
                self._passing.append(row.key)

    # --- history and pending events

    def write_history(self, row: InstanceRow, encoded: bytes, count: int) -> None:
        """Append the events of one commit."""
        self.changes.events += (row.key, row.execution_number, row.position, bytearray(encoded))
        self.changes.bytes += len(encoded)
        row.position += count
        row.history_bytes += len(encoded)
        row.updated_at = self.now
        if row.shape < STEPPED:
            self.change(row)

    def pending_of(self, row: InstanceRow) -> list[PendingEvent]:
        """In order of arrival. Raises StoreCorrupt."""
        if row.pending is None:
            changes, key = self.changes, row.key
            dropped = changes.dropped_pending.get(key, ())
            stored = () if key in changes.cleared_pending else self.tables.pending_of(key)
            found: dict[int, bytes] = {number: event for number, event in stored if number not in dropped}
            found.update(changes.pending.get(key, {}))
            row.pending = [PendingEvent(number, decode_pending(event)) for number, event in found.items()]
        return row.pending

    def add_pending(self, row: InstanceRow, event: PendingPayload) -> None:
        """Give the event the instance's next number; when the instance is due is up to the caller."""
        number = row.next_pending
        encoded = encode(event)
        self.changes.add_pending(row.key, number, encoded)
        self.changes.bytes += len(encoded)
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
        for number in gone:
            self.changes.drop_pending(row.key, number)
        self.change(row)

    def clear_pending(self, row: InstanceRow) -> None:
        """Nothing that has arrived will be applied."""
        if row.pending_count:
            self.changes.clear_pending(row.key)
            row.pending_count = 0
            self.change(row)
        row.pending = []

    # --- activities

    def activity(self, key: int) -> ActivityRow | None:
        row = self._activities.get(key)
        if row is None and key not in self.changes.removed_activities:
            for row in self.tables.activities_by_key((key,)):
                self._activities[key] = row
        return row

    def activities_of(self, row: InstanceRow) -> list[ActivityRow]:
        """By number; those of earlier executions that still run, too."""
        if not row.open_activities:
            return []
        changes = self.changes
        found = {some.key: some for some in changes.activities.values() if some.instance_key == row.key}
        for stored in self.tables.activities_of(row.key):
            if stored.key not in changes.removed_activities and stored.key not in found:
                found[stored.key] = self._activities.setdefault(stored.key, stored)
        return sorted(found.values(), key=attrgetter("number"))

    def add_activity(self, instance: InstanceRow, row: ActivityRow) -> None:
        row.is_new = True
        instance.open_activities += 1
        self.change(instance)
        self.changes.bytes += len(row.body)
        self._activities[row.key] = self.changes.activities[row.key] = row

    def change_activity(self, row: ActivityRow) -> None:
        """What an attempt changes has changed."""
        if row.worker is None:
            self.heads.activities_moved()
        self.changes.activities[row.key] = row

    def lease_activity(self, row: ActivityRow, worker: int, token: int) -> None:
        row.worker, row.token = worker, token
        if row.limited and row.queue in self._running:
            self._running[row.queue] += 1
        self.changes.activities[row.key] = row

    def release_activity(self, row: ActivityRow) -> None:
        """End the lease."""
        if row.worker is None:
            return
        row.worker = row.token = None
        self.heads.activities_moved()
        self._free_permit(row)
        self.changes.activities[row.key] = row

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
        self.changes.remove_activity(row)
        instance = self.instance(row.instance_key)
        if instance is not None:
            instance.open_activities -= 1
            self.change(instance)

    # --- the rest

    def has_seen(self, row: InstanceRow, message_id: bytes) -> bool:
        """Whether the message came before and is still remembered."""
        expires_at = self._receipts.get((row.key, message_id))
        if expires_at is None and not row.is_new:
            expires_at = self.tables.receipt_expiry(row.key, message_id)
        return expires_at is not None and expires_at > self.now

    def remember(self, row: InstanceRow, message_id: bytes, keep: Micros = MESSAGES_KEPT) -> None:
        receipt = (row.key, message_id)
        self._receipts[receipt] = self.changes.receipts[receipt] = self.now + keep

    def limits(self) -> dict[str, QueueLimits]:
        """Of the queues that have any."""
        if self._limits is None:
            self._limits = {name: _decode_limits(value) for name, value in self.tables.queue_limits()}
        return self._limits

    def limits_changed(self) -> None:
        self._limits = None
        self.rows_changed()

    def running(self, queue: str) -> int:
        """Leased activities of a queue that has limits."""
        if queue not in self._running:
            self.flush()
            self._running[queue] = self.tables.running_activities(queue)
        return self._running[queue]

    def bucket(self, queue: str) -> Bucket | None:
        unwritten = self.changes.buckets.get(queue)
        return self.tables.bucket(queue) if unwritten is None else unwritten

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        self.changes.buckets[queue] = bucket

    def worker(self, key: int) -> WorkerStart | None:
        """What a worker serves; None for one that was marked dead or forgotten."""
        if key not in self._workers:
            found = self.tables.worker_start(key)
            self._workers[key] = None if found is None else _decode_start(found)
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
            seal = self._seal = (self.tables.seal_target(),)
        return seal[0]
