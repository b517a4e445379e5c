"""What a batch has to write: gathered row by row, each row once, for `Tables.write`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.backends.admission import Bucket
from perdure.backends.letters import Answer, Letter
from perdure.backends.rows import READY, WAITING, ActivityRow, InstanceRow
from perdure.clock import Micros

if TYPE_CHECKING:
    from perdure.backends.unit.unit import Unit


class Changes:
    """Rows to insert, update and delete; what came and went within the batch isn't here.

    A row is to be inserted if `is_new`, else to be updated in what its `shape` says (rows.py). Who has written it all calls
    `written`.
    """

    def __init__(self) -> None:
        self.instances: dict[int, InstanceRow] = {}
        self.activities: dict[int, ActivityRow] = {}
        self.removed_activities: dict[int, ActivityRow] = {}
        self.events: list[Any] = []
        """Instance key, execution number, position and bytes of each row, one behind the other."""
        self.executions: list[Any] = []
        """Of ended ones: instance key, number, execution id, state, start, end, length of history."""
        self.pending: dict[int, dict[int, bytes]] = {}
        """New ones of an instance, by number."""
        self.dropped_pending: dict[int, list[int]] = {}
        self.cleared_pending: set[int] = set()
        """Instances of which all stored ones go."""
        self.published: dict[tuple[int, str], bytes] = {}
        self.blobs: dict[bytes, tuple[int, bytes]] = {}
        """New ones by id: the key of the instance, and the bytes."""
        self.dropped_blobs: dict[bytes, int] = {}
        """What the ids of those begin with that go before the new ones are written, and the key of the instance."""
        self.receipts: dict[tuple[int, bytes], Micros] = {}
        self.buckets: dict[str, Bucket] = {}
        self.letters: list[Letter] = []
        """New ones, of a store with several partitions, as all that follows."""
        self.settled_letters: dict[bytes, int] = {}
        """By message id, the key of the sender: they leave the outbox."""
        self.received: dict[bytes, tuple[Letter, Answer, Micros]] = {}
        """By message id; until when it is remembered."""
        self.away: dict[tuple[str, bytes], dict[str, bool | None]] = {}
        """Of an instance's execution, sub-workflows in other partitions: are they known to be there? None: they have gone."""
        self.bytes = 0
        """Roughly what the batch has to write, for its limit; the owner of the batch sets it to 0."""

    def __bool__(self) -> bool:
        return bool(
            self.instances
            or self.activities
            or self.removed_activities
            or self.events
            or self.executions
            or self.pending
            or self.dropped_pending
            or self.cleared_pending
            or self.published
            or self.blobs
            or self.dropped_blobs
            or self.receipts
            or self.buckets
            or self.letters
            or self.settled_letters
            or self.received
            or self.away
        )

    def clear(self) -> None:
        """Nothing of it will be written."""
        self.written()
        self.bytes = 0

    def written(self) -> None:
        """The tables have it all."""
        for row in self.instances.values():
            row.is_new, row.shape = False, 0
        for activity in self.activities.values():
            activity.is_new = False
        for some in (
            self.instances,
            self.activities,
            self.removed_activities,
            self.events,
            self.executions,
            self.pending,
            self.dropped_pending,
            self.cleared_pending,
            self.published,
            self.blobs,
            self.dropped_blobs,
            self.receipts,
            self.buckets,
            self.letters,
            self.settled_letters,
            self.received,
            self.away,
        ):
            some.clear()

    def remove_activity(self, row: ActivityRow) -> None:
        self.activities.pop(row.key, None)
        if row.is_new:
            row.is_new = False
        else:
            self.removed_activities[row.key] = row

    def add_pending(self, instance_key: int, number: int, encoded: bytes) -> None:
        some = self.pending.get(instance_key)
        if some is None:
            some = self.pending[instance_key] = {}
        some[number] = encoded

    def drop_pending(self, instance_key: int, number: int) -> None:
        unwritten = self.pending.get(instance_key)
        if unwritten is None or unwritten.pop(number, None) is None:
            self.dropped_pending.setdefault(instance_key, []).append(number)

    def clear_pending(self, instance_key: int) -> None:
        self.pending.pop(instance_key, None)
        self.dropped_pending.pop(instance_key, None)
        self.cleared_pending.add(instance_key)

    def settle_phases(self, unit: Unit) -> bool:
        """Say of each row what it waits for, and wake who waits for that; whether there are activities for anybody.

        Who begins to stand in a line is due from that moment on, though it was so before: who looks only for those that came
        since his last look (postgres/bounds.py) must find it.
        """
        now, wakes = unit.now, unit.wakes
        for row in self.instances.values():
            was, row.phase = row.phase, row.phase_at(now)
            if row.phase:
                assert row.wake_at is not None
                if row.phase not in {was, WAITING}:
                    row.wake_at = max(row.wake_at, now)
                if row.worker is None:
                    wakes.workflow_due(row.queue, row.wake_at)
                else:
                    wakes.worker_due(row.worker, row.wake_at)
        has_ready = False
        for activity in self.activities.values():
            if activity.worker is not None:
                activity.phase = 0
                continue
            instance = unit.instance(activity.instance_key)
            was = activity.phase
            activity.phase = activity.phase_at(now, suspended=0 if instance is None else instance.suspended)
            if activity.phase == READY != was:
                activity.due_at = max(activity.due_at, now)
            if activity.phase in {READY, WAITING}:
                has_ready = has_ready or activity.phase == READY
                wakes.activity_due(activity.queue, activity.due_at)
        return has_ready
