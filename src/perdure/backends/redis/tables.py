"""`Tables` on one partition of a Redis: keys.py says what there is, buffer.py how it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perdure.backends.apart import BLOB_THRESHOLD
from perdure.backends.letters import ANSWERS_KEPT
from perdure.backends.protocol import Question, WorkerStart
from perdure.backends.redis import entries, removing
from perdure.backends.redis.buffer import ABSENT, Buffer, Span
from perdure.backends.redis.encoding import decode, decode_activity, decode_instance, encode_activity, encode_instance
from perdure.backends.redis.entries import Entries
from perdure.backends.redis.keys import Keys, lease_place, pack, unpack
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.office import RedisOffice
from perdure.backends.redis.permits import Permits
from perdure.backends.redis.queues import Queues
from perdure.backends.redis.settings import GENERATION, Settings
from perdure.backends.redis.workers import Questions, Workers
from perdure.backends.rows import ActivityRow, InstanceRow, encode
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.tables import House
from perdure.clock import Micros, random_token
from perdure.errors import StoreUsageError

LARGEST_STEP = 256 * 1024 * 1024
"""Of payloads that are kept apart. A script has all that it writes as arguments, and replicas are cut off whose buffers run over."""
_AT_ONCE = 1_000
_RELEASED_AT_ONCE = 20_000  # some megabytes, and a tenth of a second of the server; housekeeping goes on with the rest


class RedisTables:
    """Belongs to the thread that writes. Nothing is written before `send`, but for what is right for everybody."""

    def __init__(self, keys: Keys, blob_threshold: int = BLOB_THRESHOLD) -> None:
        self.keys = keys
        self.blob_threshold = blob_threshold
        self.office: RedisOffice | None = None
        self.buffer = buffer = Buffer()
        self._settings = settings = Settings(buffer, keys)
        self._queues = queues = Queues(buffer, keys, settings)
        self._workers = workers = Workers(buffer, keys, settings)
        self._questions = questions = Questions(buffer, keys)
        self._known_queues: set[str] = set()

        self.ready_instances, self.ready_activities = queues.ready_instances, queues.ready_activities
        self.held_instances, self.survey = queues.held_instances, queues.survey
        self.do_instances_wait, self.do_activities_wait = queues.do_instances_wait, queues.do_activities_wait
        self.promote_instances, self.promote_activities = queues.promote_instances, queues.promote_activities
        self.activities_expired, self.instances_past_deadline = (
            queues.activities_expired,
            queues.instances_past_deadline,
        )
        self.activities_of_worker, self.claimed_of_worker = queues.activities_of_worker, queues.claimed_of_worker

        self.worker_start, self.insert_worker, self.beat = workers.worker_start, workers.insert_worker, workers.beat
        self.delete_worker, self.all_workers = workers.delete_worker, workers.all_workers
        self.put_worker_start = workers.put_worker_start
        self.lapsed_workers, self.mark_worker_dead = workers.lapsed_workers, workers.mark_worker_dead
        self.leases_of_dead = workers.leases_of_dead
        self.insert_question, self.answer_question = questions.insert_question, questions.answer_question
        self.delete_question = questions.delete_question

        self.seal_target, self.set_seal = settings.seal_target, settings.set_seal
        self.put_setting, self.delete_setting = settings.put_setting, settings.delete_setting
        self.queue_limits, self.limit_activities = settings.queue_limits, settings.limit_activities
        self.running_activities, self.bucket = settings.running_activities, settings.bucket

    def move_in(self, layout: Layout, number: int) -> None:
        """The store has several partitions."""
        self.office = RedisOffice(self.buffer, layout, number)
        self._queues.move_in(layout.fronts, number)
        self._settings.move_in(Permits(self.buffer, layout, number))

    # --- the batch

    def send(self) -> None:
        """Write everything, in one step. Raises Conflict if nothing was written."""
        buffer, written = self.buffer, None
        if buffer:
            written = buffer.hashes.get(self.keys.header, {}).get(GENERATION)
            self._settings.take_permits()
            buffer.send(self.keys.header, self.keys.unfinished, self._settings.generation())
        self._settings.sent(written)
        self._queues.sent()
        self._queues.restore()
        buffer.clear()

    def roll_back(self) -> None:
        """Nothing of the batch is written, and nothing that was cached holds."""
        self._queues.restore()
        self._settings.give_permits_back()
        self._queues.roll_back()
        self._workers.roll_back()
        self._settings.forget()
        self.buffer.clear()
        self._known_queues.clear()

    # --- instances and what belongs to them

    def instances_by_id(self, ids: Sequence[str]) -> Sequence[InstanceRow]:
        found = self.buffer.get_many(self.keys.ids, [instance_id.encode() for instance_id in ids])
        return self._instances([key for key in found if key is not None])

    def instances_by_key(self, keys: Sequence[int]) -> Iterable[InstanceRow]:
        return self._instances([pack(key) for key in keys])

    def _instances(self, keys: Sequence[bytes]) -> list[InstanceRow]:
        rows: list[InstanceRow] = []
        for key, value in self._values(self.keys.instances, keys):
            row = None if value is None else decode_instance(value)
            if row is not None:
                row.indexed = entries.of_instance(self.keys, row)
                rows.append(row)
            self._verify(self.keys.instances, key, row)
        return rows

    def activities_by_key(self, keys: Sequence[int]) -> Iterable[ActivityRow]:
        return self._activities([pack(key) for key in keys])

    def activities_of(self, instance_key: int) -> Iterable[ActivityRow]:
        return self._activities([member[8:] for member in self.buffer.prefixed(self.keys.open, pack(instance_key))])

    def _activities(self, keys: Sequence[bytes]) -> list[ActivityRow]:
        rows: list[ActivityRow] = []
        for key, value in self._values(self.keys.activities, keys):
            row = None if value is None else decode_activity(value)
            if row is not None:
                row.indexed = entries.of_activity(self.keys, row)
                row.limited = int(self._settings.is_limited(row.queue))
                rows.append(row)
            self._verify(self.keys.activities, key, row)
        return rows

    def _values(self, table: bytes, keys: Sequence[bytes]) -> Iterable[tuple[bytes, bytes | None]]:
        return zip(keys, self.buffer.get_many(table, keys), strict=True) if keys else ()

    def _verify(self, table: bytes, key: bytes, row: InstanceRow | ActivityRow | None) -> None:
        """What others have written must agree with what an index of theirs has said before."""
        if key not in self.buffer.hashes.get(table, ()):
            self._queues.verify(key, None if row is None else row.indexed)

    def pending_of(self, instance_key: int) -> list[tuple[int, bytes]]:
        found = self.buffer.get_all(self.keys.pending(instance_key))
        return sorted((int(number), event) for number, event in found.items())

    def receipt_expiry(self, instance_key: int, message_id: bytes) -> Micros | None:
        found = self.buffer.get(self.keys.receipts_of(instance_key), message_id)
        return None if found is None else int(found)

    def running_children(self, parent_id: str, parent_execution: bytes) -> list[int]:
        found = self.buffer.members(Span(self.keys.children(parent_id, parent_execution), 0, 0))
        return sorted(map(unpack, found))

    def count_children(self, parent_id: str, parent_execution: bytes) -> int:
        here = self.buffer.count(self.keys.children(parent_id, parent_execution))
        return here if self.office is None else here + len(self.office.children_away(parent_id, parent_execution))

    def is_past_execution(self, instance_key: int, execution_id: bytes) -> bool:
        found = self.buffer.get_all(self.keys.executions(instance_key))
        return any(decode(value)[0] == execution_id for value in found.values())

    def free_instances(self, keys: Sequence[int]) -> list[int]:
        return list(keys)  # whether they are there is verified by what is written

    def remove_instances(self, rows: Sequence[InstanceRow]) -> None:
        for row in rows:
            self._expect(self.keys.instances, pack(row.key), row.revision)
        removing.remove_instances(self.buffer, self.keys, rows)
        for row in rows:
            self._move(row.indexed, {})

    def put_blob(self, instance_key: int, blob_id: bytes, data: bytes) -> None:
        if self.buffer.get(self.keys.blobs_of(instance_key), blob_id) is None:
            self.buffer.put(self.keys.blobs, blob_id, data)
            self.buffer.put(self.keys.blobs_of(instance_key), blob_id, b"")

    def _write_blobs(self, changes: Changes) -> None:
        buffer, keys = self.buffer, self.keys
        size = sum(len(data) for _, data in changes.blobs.values())
        if size > LARGEST_STEP:
            raise StoreUsageError(
                f"Large payloads of {size:,} bytes in one step are more than Redis takes at once ({LARGEST_STEP:,}): nothing was "
                "written. Pass fewer at a time, or keep them elsewhere and pass references."
            )
        for slot, instance_key in changes.dropped_blobs.items():
            for blob_id in buffer.get_all(keys.blobs_of(instance_key)):
                if blob_id.startswith(slot):
                    buffer.put(keys.blobs, blob_id, None)
                    buffer.put(keys.blobs_of(instance_key), blob_id, None)
        for blob_id, (instance_key, data) in changes.blobs.items():
            buffer.put(keys.blobs, blob_id, data)
            buffer.put(keys.blobs_of(instance_key), blob_id, b"")

    # --- writing

    def write(self, changes: Changes) -> None:
        for row in changes.instances.values():
            self._write_instance(row)
        self._write_activities(changes)
        self._write_histories(changes)
        self._write_pending(changes)
        buffer, keys = self.buffer, self.keys
        for (key, name), value in changes.published.items():
            buffer.put(keys.published(key), name.encode(), value)
        if changes.blobs or changes.dropped_blobs:
            self._write_blobs(changes)
        for (key, message_id), expires_at in changes.receipts.items():
            buffer.put(keys.receipts_of(key), message_id, b"%d" % expires_at)
            buffer.place(keys.receipts, pack(key) + message_id, expires_at)
        for queue, bucket in changes.buckets.items():
            self._settings.put_bucket(queue, bucket)
        if self.office is not None:
            self.office.write(changes)

    def _write_instance(self, row: InstanceRow) -> None:
        buffer, keys, key = self.buffer, self.keys, pack(row.key)
        if row.is_new:
            instance_id = row.instance_id.encode()
            buffer.expect(keys.instances, key, ABSENT)
            # One that was removed in this batch is verified by its own row.
            if instance_id not in buffer.hashes.get(keys.ids, ()):
                buffer.expect(keys.ids, instance_id, ABSENT)
            buffer.put(keys.ids, instance_id, key)
            self._know(row.queue)
        else:
            self._expect(keys.instances, key, row.revision)
        row.revision = random_token()
        buffer.put(keys.instances, key, encode_instance(row))
        placed = entries.of_instance(keys, row)
        self._move(row.indexed, placed)
        row.indexed = placed

    def _write_activities(self, changes: Changes) -> None:
        buffer, keys = self.buffer, self.keys
        for row in changes.removed_activities.values():
            self._expect(keys.activities, pack(row.key), row.revision)
            buffer.put(keys.activities, pack(row.key), None)
            self._move(row.indexed, {})
        for row in changes.activities.values():
            key = pack(row.key)
            if row.is_new:
                buffer.expect(keys.activities, key, ABSENT)
                self._know(row.queue)
            else:
                self._expect(keys.activities, key, row.revision)
            row.revision = random_token()
            buffer.put(keys.activities, key, encode_activity(row))
            placed = entries.of_activity(keys, row)
            if row.limited and row.worker is not None and self._is_lease_new(row):
                self._settings.take_permit(row.queue)
            self._move(row.indexed, placed)
            row.indexed = placed

    def _is_lease_new(self, row: ActivityRow) -> bool:
        return (self.keys.running(row.queue), entries.running_member(row)) not in (row.indexed or ())

    def _write_histories(self, changes: Changes) -> None:
        events = iter(changes.events)
        for key, number, position, encoded in zip(events, events, events, events, strict=True):
            self.buffer.push(self.keys.events(key, number), pack(position) + encoded)
        executions = changes.executions
        for first in range(0, len(executions), 7):
            key, number, *execution = executions[first : first + 7]
            self.buffer.put(self.keys.executions(key), b"%d" % number, encode(execution))

    def _write_pending(self, changes: Changes) -> None:
        buffer, keys = self.buffer, self.keys
        for key in changes.cleared_pending:
            buffer.drop(keys.pending(key))
        for key, events in changes.pending.items():
            for number, event in events.items():
                buffer.put(keys.pending(key), b"%d" % number, event)
        for key, numbers in changes.dropped_pending.items():
            for number in numbers:
                buffer.put(keys.pending(key), b"%d" % number, None)

    def _expect(self, table: bytes, key: bytes, revision: int) -> None:
        """The row is to be as it was when it was first read in this batch."""
        if key not in self.buffer.hashes.get(table, ()):
            self.buffer.expect(table, key, pack(revision))

    def _move(self, old: Entries | None, new: Entries) -> None:
        buffer, twins = self.buffer, self.keys.twins
        old = old or {}
        for entry in old:
            if entry not in new:
                key, member = entry
                buffer.place(key, member, None)
                twin = twins.get(key)
                if twin is not None and (twin, member) not in new:
                    buffer.place(twin, member, None)
        for entry, score in new.items():
            if old.get(entry) != score:
                buffer.place(*entry, score)

    def _know(self, queue: str) -> None:
        if queue not in self._known_queues:
            self._known_queues.add(queue)
            self.buffer.put(self.keys.queues, queue.encode(), b"")

    # --- workers

    def release_instances(self, worker_key: int, now: Micros) -> list[tuple[str, Micros]]:
        held = self.buffer.members(Span(self.keys.leased_instances(worker_key), limit=_RELEASED_AT_ONCE))
        waiting: dict[str, Micros] = {}
        for row in self._instances([pack(lease_place(member)[1]) for member in held]):
            if row.worker != worker_key:  # somebody has been faster: the script will tell
                continue
            row.worker = row.token = None
            row.claimed = 0
            row.phase = row.phase_at(now)
            self._write_instance(row)
            if row.wake_at is not None and not row.suspended:
                waiting[row.queue] = min(row.wake_at, waiting.get(row.queue, row.wake_at))
        return list(waiting.items())

    def look_round(self, now: Micros, *, died_since: Micros, workers_before: Micros) -> House:
        lapses_at, asked_at = self._workers.glance()
        return House(is_untidy=True, lapses_at=lapses_at, has_questions=asked_at is not None)

    def forget(self, now: Micros, *, workers_before: Micros) -> None:
        for member in self.buffer.members(Span(self.keys.receipts, high=now, limit=_AT_ONCE)):
            self.buffer.place(self.keys.receipts, member, None)
            self.buffer.put(self.keys.receipts_of(unpack(member)), member[8:], None)
        self._questions.forget(now)
        self._settings.audit(now)
        if self.office is not None:
            self.office.forget(now, ANSWERS_KEPT)
        self._workers.forget(workers_before=workers_before)

    # --- questions

    def take_questions(self, worker_key: int, start: WorkerStart) -> list[Question]:
        questions = self._questions.waiting()
        if not questions:
            return []
        for_it = {
            row.instance_id
            for row in self.instances_by_id([question.instance_id for question in questions])
            if row.worker == worker_key or (row.worker is None and start.serves(row.queue, row.workflow, row.version))
        }
        taken = [question for question in questions if question.instance_id in for_it]
        for question in taken:
            self._questions.take(question)
        return taken
