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

from collections.abc import Collection, Sequence
from operator import attrgetter

from perdure.backends.admission import Bucket
from perdure.backends.endings import MESSAGES_KEPT
from perdure.backends.event_rows import encode_events
from perdure.backends.letters import Body, Letter
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
from perdure.backends.unit.kept import KeptRows
from perdure.backends.unit.office import Undelivered
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.model.event import Event, ExecutionStarted
from perdure.model.task import PendingEvent, PendingPayload

_CONFLICTS_UNLOCKED = 3
"""As often a batch is applied before it keeps others from what all write: a lock costs them a round trip."""


class Unit(KeptRows):
    """Rows, read when first asked for and written by `flush`. Belongs to the thread that writes."""

    # --- the life of a batch

    def begin(self, now: Micros) -> None:
        """A batch begins, in which time stands still."""
        self.now = now
        self.wakes = Wakes()
        self.changes.bytes = 0
        self.apart.begin()
        self.heads.clear()

    def settle(self) -> Changes:
        """What is to be written, with what each row waits for."""
        if self.changes and self.changes.settle_phases(self):
            self.heads.activities.clear()
        return self.changes

    def flush(self) -> None:
        """Write what has changed, so that queries see it."""
        changes = self.settle()
        if changes:
            self.tables.write(changes)
            self._written()
        self.heads.written()

    # --- instances

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
        """Everything of it goes, at once. Raises Undelivered."""
        self.flush()
        if self.undelivered([row]):
            raise Undelivered(row.instance_id)
        self.remove_instances([row])

    def remove_instances(self, rows: Sequence[InstanceRow]) -> None:
        """Everything of these goes, at once. They have nothing undelivered."""
        for row in rows:
            for activity in self.activities_of(row):
                self.remove_activity(activity)
        self.flush()
        if rows:
            self.tables.remove_instances(rows)
        for row in rows:
            self._instances.pop(row.key, None)
            self._keys.pop(row.instance_id, None)
            self.wakes.outcomes.pop(row.instance_id, None)
            self.wakes.gone.add(row.instance_id)

    # --- history and pending events

    def write_history(self, row: InstanceRow, events: Sequence[Event]) -> int:
        """Append the events of one commit; how many bytes they have there."""
        encoded = encode_events(events)
        if len(encoded) > self.apart.threshold:
            encoded = encode_events(self.apart.rows(row.key, events, len(encoded)))
        self.changes.events += (row.key, row.execution_number, row.position, bytearray(encoded))
        self.changes.bytes += len(encoded)
        row.position += len(events)
        row.history_bytes += len(encoded)
        row.updated_at = self.now
        if row.shape < STEPPED:
            self.change(row)
        return len(encoded)

    def begin_history(self, row: InstanceRow, started: ExecutionStarted) -> None:
        """The event that the first checkpoint of the execution will apply."""
        row.started_event, row.started = started, encode(started)
        if len(row.started) > self.apart.threshold:
            (row.started_event,) = self.apart.rows(row.key, (started,), len(row.started))
            row.started = encode(row.started_event)

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
        if len(encoded) > self.apart.threshold:
            (event,) = self.apart.rows(row.key, (event,), len(encoded))
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

    def activities_of(self, row: InstanceRow) -> list[ActivityRow]:
        """By number; those of earlier executions that still run, too."""
        if not row.open_activities:
            return []
        changes = self.changes
        found = {some.key: some for some in changes.activities.values() if some.instance_key == row.key}
        stored = [some for some in self.tables.activities_of(row.key) if some.key not in changes.removed_activities]
        self._adopt_activities(stored)
        for some in stored:
            found[some.key] = self._activities[some.key]
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

    def open_activity(self, row: ActivityRow) -> None:
        """Its worker lets go of it; the token stays with whoever is to end it."""
        row.worker = None
        self._free_permit(row)
        self.changes.activities[row.key] = row

    def release_activity(self, row: ActivityRow) -> None:
        """End the lease, or what is open."""
        if row.token is None:
            return
        if row.worker is not None:
            self._free_permit(row)
        row.worker = row.token = None
        self.heads.activities_moved()
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
        self.apart.empty_slot(row.instance_key, row.details)
        self.changes.remove_activity(row)
        instance = self.instance(row.instance_key)
        if instance is not None:
            instance.open_activities -= 1
            self.change(instance)

    # --- instances in other partitions

    def is_apart(self, instance_id: str) -> bool:
        """Whether the instance lies in another partition, and can only be written to."""
        return self.office is not None and self.office.partition.is_apart(instance_id)

    def post(
        self, sender: InstanceRow, to: str, body: Body, message_id: bytes | None = None, *, follows_start: bool = False
    ) -> None:
        """Write a letter, which is delivered after the commit."""
        if message_id is None:
            message_id = self.draw_token().to_bytes(8) + self.draw_token().to_bytes(8)
        letter = Letter(
            message_id, sender.key, sender.instance_id, sender.execution_id, to, body, self.now, follows_start
        )
        self.changes.letters.append(letter)
        self.wakes.letters.append(letter)

    def undelivered(self, rows: Sequence[InstanceRow]) -> Collection[int]:
        """The keys of those of whom letters are on their way. Everything was flushed before."""
        return () if self.office is None else self.office.undelivered([row.key for row in rows])

    def children_away(self, parent: InstanceRow) -> dict[str, bool]:
        """Sub-workflows of the current execution in other partitions, and whether they are known to be there."""
        if self.office is None:
            return {}
        key = parent.instance_id, parent.execution_id
        found: dict[str, bool | None] = {**self.office.children_away(*key), **self.changes.away.get(key, {})}
        return {child: is_there for child, is_there in found.items() if is_there is not None}

    def put_away(self, parent_id: str, execution_id: bytes, child_id: str, is_there: bool | None) -> None:
        """Note a sub-workflow in another partition; None if it is to be forgotten."""
        self.changes.away.setdefault((parent_id, execution_id), {})[child_id] = is_there

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

    def limits_changed(self) -> None:
        self.settled.forget()
        self.rows_changed()

    def running(self, queue: str) -> int:
        """Leased activities of a queue that has limits."""
        if queue not in self._running:
            self.flush()
            self.bucket(queue)  # before the leases are counted: who leases one meanwhile writes it
            self._running[queue] = self.tables.running_activities(queue)
        return self._running[queue]

    def bucket(self, queue: str) -> Bucket | None:
        unwritten = self.changes.buckets.get(queue)
        if unwritten is not None:
            return unwritten
        # All workers write the bucket of a busy queue: who has been too late so often would be so again and again.
        return self.tables.bucket(queue, lock=self.conflicts >= _CONFLICTS_UNLOCKED)

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        self.changes.buckets[queue] = bucket

    def worker_changed(self, key: int) -> None:
        """It was marked dead, retired, or forgotten."""
        self.settled.worker_changed(key)
        self.heads.instances.pop(key, None)
