"""All rows of a memory store and their indexes, and where in the lines a row has its place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from perdure.backends.admission import rank_of
from perdure.backends.apart import BLOB_THRESHOLD, Apart
from perdure.backends.endings import open_until, waits_until
from perdure.backends.keys import KeySource, draw_key
from perdure.backends.memory.lines import Line, Schedule
from perdure.backends.memory.rows import (
    NOTHING,
    ActivityRow,
    InstanceRow,
    QuestionRow,
    QueueRow,
    WorkerRow,
)
from perdure.backends.memory.waking import Bell, Waiter
from perdure.clock import Micros
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import SettingKind
from perdure.model.reference import PAYLOAD_FIELDS

K = TypeVar("K")
S = TypeVar("S", bound=msgspec.Struct)


class NewBlobs:
    """What the current transition keeps apart."""

    def __init__(self) -> None:
        self.blobs: dict[bytes, tuple[int, bytes]] = {}
        self.dropped_blobs: dict[bytes, int] = {}
        self.bytes = 0

    @property
    def has_any(self) -> bool:
        return bool(self.blobs or self.dropped_blobs)


class Tables:
    """The rows. Who changes an instance or an activity calls `place_…` at the end, which keeps the lines true."""

    def __init__(self, random_token: Callable[[], int], blob_threshold: int = BLOB_THRESHOLD) -> None:
        self.random_token = random_token
        self.keys = KeySource(random_token)
        self.sealed_for: str | None = None
        self.instances: dict[int, InstanceRow] = {}
        self.by_id: dict[str, InstanceRow] = {}
        self.children: defaultdict[str, dict[int, InstanceRow]] = defaultdict(dict)
        self.activities: dict[int, ActivityRow] = {}
        self.workers: dict[int, WorkerRow] = {}
        self.queues: defaultdict[str, QueueRow] = defaultdict(QueueRow)
        self.blobs: dict[bytes, tuple[int, bytes]] = {}
        self.new_blobs = NewBlobs()
        self.apart = Apart(self.new_blobs, blob_threshold)
        self.settings: dict[tuple[SettingKind, str], bytes] = {}
        self.questions: dict[bytes, QuestionRow] = {}
        self.instance_lines: defaultdict[str, dict[tuple[str, str | None], Line]] = defaultdict(dict)
        self.activity_lines: defaultdict[str, dict[str, Line]] = defaultdict(dict)
        self.deadlines = Schedule()
        self.removals = Schedule()
        self.patience = Schedule()
        """Until when activities wait that no worker has."""
        self.receipts: list[tuple[Micros, int, bytes]] = []
        """A heap of when which instance may forget which message id."""
        self.ends: defaultdict[str, Bell] = defaultdict(Bell)
        """Who waits for the end of which instance."""
        self.to_wake: list[Waiter] = []

    # --- payloads

    def lightened(self, row: InstanceRow, event: S) -> S:
        """The event, or another that has the same payloads kept apart as blobs of the instance."""
        carried = event.carried if isinstance(event, ExecutionStarted) else ()
        if not carried and len(getattr(event, PAYLOAD_FIELDS.get(type(event), ""), b"")) <= self.apart.threshold:
            return event
        return self.apart.rows(row.key, (event,), 0)[0]

    def settle_blobs(self) -> None:
        """The transition has taken place: what it keeps apart is there with it."""
        for slot, key in self.new_blobs.dropped_blobs.items():
            row = self.instances.get(key)
            if row is not None:
                for blob_id in [some for some in row.blob_ids if some.startswith(slot)]:
                    del self.blobs[blob_id]
                    row.blob_ids -= {blob_id}
        for blob_id, (key, data) in self.new_blobs.blobs.items():
            row = self.instances.get(key)
            if row is not None:
                self.blobs[blob_id] = (key, data)
                row.blob_ids |= {blob_id}
        self.forget_blobs()

    def forget_blobs(self) -> None:
        """They are there, or the transition failed."""
        self.new_blobs.blobs.clear()
        self.new_blobs.dropped_blobs.clear()
        self.apart.begin()

    def chance(self) -> float:
        """A number in [0, 1)."""
        return self.random_token() / 2**63

    # --- rows

    def draw_instance_key(self, created_at: Micros | None, now: Micros) -> int:
        """A free key, for a new instance or (with its time of creation) one from elsewhere."""
        key = self.keys.draw(now) if created_at is None else draw_key(created_at, self.random_token)
        return self.draw_instance_key(created_at, now) if key in self.instances else key

    def add_instance(self, row: InstanceRow) -> None:
        self.instances[row.key] = row
        self.by_id[row.instance_id] = row
        if row.parent is not None:
            self.children[row.parent.instance_id][row.key] = row
        if row.deadline_at is not None and row.is_running:
            self.deadlines.put(row.key, row.deadline_at)
        if row.remove_at is not None:
            self.removals.put(row.key, row.remove_at)

    def remove_instance(self, row: InstanceRow) -> None:
        """Everything of it goes."""
        del self.instances[row.key], self.by_id[row.instance_id]
        self.release_instance(row)
        for activity in [*row.activities.values(), *row.dropped.values()]:
            self.remove_activity(activity)
        for blob_id in row.blob_ids:
            self.blobs.pop(blob_id, None)
        self.deadlines.remove(row.key)
        self.removals.remove(row.key)
        if row.line is not None:
            row.line.remove(row.key)
        if row.parent is not None:
            siblings = self.children[row.parent.instance_id]
            siblings.pop(row.key, None)
            if not siblings:
                del self.children[row.parent.instance_id]

    def release_instance(self, row: InstanceRow) -> None:
        """End the lease."""
        if row.worker is not None:
            del row.worker.instances[row.key]
        row.worker, row.token, row.claimed = None, None, False

    def add_activity(self, row: ActivityRow) -> None:
        self.activities[row.key] = row
        instance = row.instance
        if instance.activities is NOTHING:
            instance.activities = {}
        instance.activities[row.spec.number] = row

    def remove_activity(self, row: ActivityRow) -> None:
        self.release_activity(row)
        self.apart.empty_slot(row.instance.key, row.heartbeat_details)
        del self.activities[row.key]
        if row.is_waited_for:
            row.instance.activities.pop(row.spec.number, None)
        row.instance.dropped.pop(row.key, None)
        if row.line is not None:
            row.line.remove(row.key)
        self.patience.remove(row.key)

    def drop_activity(self, row: ActivityRow) -> None:
        """Nobody waits for its end any more: it goes, or when its worker is done."""
        if row.worker is None:
            self.remove_activity(row)
            return
        row.instance.activities.pop(row.spec.number, None)
        row.instance.dropped = {**row.instance.dropped, row.key: row}
        row.is_waited_for = False

    def release_activity(self, row: ActivityRow) -> None:
        """End the lease, or what is open."""
        if row.worker is not None:
            self.open_activity(row)
        elif row.is_open:
            self.patience.remove(row.key)
        row.token = None

    def open_activity(self, row: ActivityRow) -> None:
        """Its worker lets go of it; the token stays with whoever is to end it."""
        assert row.worker is not None
        del row.worker.activities[row.key]
        row.worker.told.pop(row.key, None)
        row.worker = None
        queue = self.queues[row.queue]
        queue.running -= 1
        if queue.limits is not None:
            self.notify_queue(row.queue)

    # --- places in the lines

    def place_instance(self, row: InstanceRow, now: Micros) -> None:
        """Let it wait, or stand in line, where those find it who may claim it."""
        line = self._line_of_instance(row)
        if row.line is not None and row.line is not line:
            row.line.remove(row.key)
        row.line = line
        if line is None or row.wake_at is None:
            return
        line.put(row.key, rank_of(row.priority, row.key, 0), row.wake_at, now)
        if row.worker is not None:
            self.notify(row.worker, row.wake_at, now)
            return
        for worker in self.workers.values():
            if row.queue in worker.start.workflow_queues:
                self.notify(worker, row.wake_at, now)

    def _line_of_instance(self, row: InstanceRow) -> Line | None:
        if not row.is_running or row.suspended or row.claimed or row.wake_at is None:
            return None
        if row.worker is not None:
            return row.worker.held
        lines = self.instance_lines[row.queue]
        line = lines.get((row.workflow, row.version))
        if line is None:
            line = lines[row.workflow, row.version] = Line()
        return line

    def place_activity(self, row: ActivityRow, now: Micros) -> None:
        """As `place_instance`, for an activity."""
        if row.token is not None or row.instance.suspended:
            if row.line is not None:
                row.line.remove(row.key)
                row.line = None
        else:
            lines = self.activity_lines[row.queue]
            row.line = lines.get(row.spec.name)
            if row.line is None:
                row.line = lines[row.spec.name] = Line()
            row.line.put(row.key, row.rank, row.due_at, now)
            self._notify_activity(row, now)
        self._set_patience(row)

    def _notify_activity(self, row: ActivityRow, now: Micros) -> None:
        for worker in self.workers.values():
            if row.queue in worker.start.activity_queues:
                self.notify(worker, row.due_at, now)

    def _set_patience(self, row: ActivityRow) -> None:
        spec = row.spec
        if spec.total_timeout is None and spec.queue_timeout is None and not row.is_open:
            return
        until = _open_until(row) if row.is_open else _waits_until(row)
        if row.worker is None and until is not None:
            self.patience.put(row.key, until)
        else:
            self.patience.remove(row.key)

    def drop_empty_lines(self) -> None:
        """Lines of queues and names that nobody uses any more take no room."""
        _drop_empty(self.instance_lines)
        _drop_empty(self.activity_lines)

    # --- wake-ups

    def notify(self, worker: WorkerRow, due_at: Micros, now: Micros) -> None:
        """There is something for the worker at `due_at`; it hears of what it doesn't expect by then."""
        expected = worker.next_due_at
        if due_at > now and expected is not None and expected <= due_at:
            return
        if due_at > now:
            worker.next_due_at = due_at
        self.ring(worker.bell)

    def notify_queue(self, queue: str) -> None:
        """Permits of the queue have come free, or its limits have changed."""
        for worker in self.workers.values():
            if queue in worker.start.activity_queues:
                self.ring(worker.bell)

    def ring(self, bell: Bell) -> None:
        if bell.has_waiters:
            self.to_wake.extend(bell.ring())
        else:
            bell.is_rung = True

    def ring_end(self, instance_id: str) -> None:
        """The instance ended, or was removed."""
        bell = self.ends.pop(instance_id, None)
        if bell is not None:
            self.ring(bell)

    # --- reading

    def running_children(self, parent: InstanceRow) -> Iterator[InstanceRow]:
        """Sub-workflows of its current execution that still run."""
        if parent.instance_id not in self.children:
            return
        for child in list(self.children[parent.instance_id].values()):
            if child.is_running and child.parent is not None and child.parent.execution_id == parent.execution_id:
                yield child


def _waits_until(row: ActivityRow) -> Micros | None:
    until = waits_until(row.scheduled_at, row.due_at, row.spec.total_timeout, row.spec.queue_timeout)
    return None if until is None else until[0]


def _open_until(row: ActivityRow) -> Micros | None:
    spec = row.spec
    return open_until(
        row.scheduled_at,
        row.due_at,
        row.heard_at,
        total_timeout=spec.total_timeout,
        timeout=spec.timeout,
        heartbeat_timeout=spec.heartbeat_timeout,
    )


def _drop_empty(lines_of_queues: dict[str, dict[K, Line]]) -> None:
    for queue, lines in list(lines_of_queues.items()):
        for kind in [kind for kind, line in lines.items() if len(line) == 0]:
            del lines[kind]
        if not lines:
            del lines_of_queues[queue]
