"""Workers, and questions to them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from perdure.backends.protocol import Question
from perdure.backends.redis.buffer import Buffer, Span
from perdure.backends.redis.encoding import decode
from perdure.backends.redis.keys import Keys, pack, unpack
from perdure.backends.redis.settings import Settings
from perdure.backends.rows import encode
from perdure.backends.unit.tables import WorkerRow
from perdure.clock import Micros

_AT_ONCE = 1_000


class Workers:
    """Belongs to the thread that writes."""

    def __init__(self, buffer: Buffer, keys: Keys, settings: Settings) -> None:
        self._buffer = buffer
        self._keys = keys
        self._settings = settings
        self._known: dict[int, tuple[Micros, Micros]] = {}
        """Of living workers that beat here, how long a lease is and until when it holds; good for one generation."""

    def worker_start(self, worker_key: int) -> bytes | None:
        self._settings.generation()
        row = self._living(worker_key)
        return None if row is None else row.start

    def insert_worker(self, row: WorkerRow) -> None:
        key = pack(row.key)
        self._buffer.put(self._keys.workers, key, encode(row))
        self._beats(key, row.heartbeat_at, row.lease_until)

    def put_worker_start(self, worker_key: int, start: bytes) -> None:
        row = self._living(worker_key)
        if row is not None:
            self._buffer.put(self._keys.workers, pack(worker_key), encode(msgspec.structs.replace(row, start=start)))
            self._settings.outdate()

    def beat(self, worker_key: int, now: Micros) -> bool:
        self._settings.generation()
        known = self._known.get(worker_key)
        if known is None:
            row = self._living(worker_key)
            if row is None:
                return False
            known = row.lease, self._buffer.score(self._keys.alive, pack(worker_key)) or 0
        lease, until = known
        until = max(until, now + lease)
        self._known[worker_key] = lease, until
        self._beats(pack(worker_key), now, until)
        return True

    def roll_back(self) -> None:
        self._known.clear()

    def _beats(self, key: bytes, now: Micros, until: Micros) -> None:
        self._buffer.put(self._keys.beats, key, b"%d" % now)
        self._buffer.place(self._keys.alive, key, until)

    def _living(self, worker_key: int) -> WorkerRow | None:
        key = pack(worker_key)
        if self._buffer.score(self._keys.alive, key) is None:
            return None
        found = self._buffer.get(self._keys.workers, key)
        return None if found is None else worker_row(found)

    def delete_worker(self, worker_key: int) -> None:
        """If it has more leases than could be ended at once, it is as one that died: housekeeping ends the rest."""
        key = pack(worker_key)
        self._known.pop(worker_key, None)
        if self.has_leases(worker_key):
            self.mark_worker_dead(worker_key, self._buffer.score(self._keys.alive, key) or 0)
            return
        self._buffer.place(self._keys.alive, key, None)
        self._forget(key)
        self._settings.outdate()

    def all_workers(self) -> list[int]:
        return sorted(map(unpack, self._buffer.get_all(self._keys.workers)))

    def glance(self) -> tuple[Micros | None, Micros | None]:
        """At all that housekeeping looks at; mostly nothing is due anywhere. Gives when the first lease lapses, and the first of
        the questions that nobody has taken."""
        keys = self._keys
        times = (keys.alive, keys.asked, keys.dead, keys.expiring, keys.deadlines, keys.receipts, keys.questions_expiry)
        lapses_at, asked_at, *_ = self._buffer.glance((*times, keys.outbox_due, keys.received_due))
        return lapses_at, asked_at

    def leases_of_dead(self, since: Micros) -> list[int]:
        return list(self._holding(map(unpack, self._buffer.members(Span(self._keys.dead)))))

    def lapsed_workers(self, now: Micros) -> list[int]:
        return [*map(unpack, self._buffer.members(Span(self._keys.alive, high=now)))]

    def mark_worker_dead(self, worker_key: int, now: Micros) -> None:
        key = pack(worker_key)
        self._known.pop(worker_key, None)
        until = self._buffer.score(self._keys.alive, key)
        if until is None:
            return
        self._buffer.place(self._keys.alive, key, None)
        self._buffer.place(self._keys.dead, key, min(until, now))
        self._settings.outdate()

    def has_leases(self, worker_key: int) -> bool:
        return bool(self._holding([worker_key]))

    def _holding(self, workers: Iterable[int]) -> list[int]:
        """Those that have leases."""
        asked = list(workers)
        if not asked:
            return []
        keys = self._keys
        leases = [key for worker in asked for key in (keys.leased_instances(worker), keys.leased_activities(worker))]
        found = self._buffer.read([Span(key, limit=1) for key in leases])
        return [worker for place, worker in enumerate(asked) if found[2 * place] or found[2 * place + 1]]

    def forget(self, *, workers_before: Micros) -> None:
        before = set(map(unpack, self._buffer.members(Span(self._keys.dead, high=workers_before))))
        for worker_key in before.difference(self._holding(before)):
            self._forget(pack(worker_key))

    def _forget(self, key: bytes) -> None:
        self._buffer.place(self._keys.dead, key, None)
        self._buffer.put(self._keys.workers, key, None)
        self._buffer.put(self._keys.beats, key, None)


def worker_row(value: bytes) -> WorkerRow:
    fields = decode(value)
    return WorkerRow(**fields)


class Questions:
    """Nothing of it outlives the asker. Kept as instance id, request, reply."""

    def __init__(self, buffer: Buffer, keys: Keys) -> None:
        self._buffer = buffer
        self._keys = keys

    def insert_question(self, question: Question, expires_at: Micros) -> None:
        self._put(question.question_id, question.instance_id, question.request, None)
        self._buffer.place(self._keys.questions_expiry, question.question_id, expires_at)
        if question.instance_id:
            self._buffer.place(self._keys.asked, question.question_id, 0)

    def waiting(self) -> list[Question]:
        """Those that nobody has taken."""
        ids = self._buffer.members(Span(self._keys.asked))
        if not ids:
            return []
        found = zip(ids, self._buffer.get_many(self._keys.questions, ids), strict=True)
        return [Question(key, *decode(value)[:2]) for key, value in found if value is not None]

    def take(self, question: Question) -> None:
        self._buffer.place(self._keys.asked, question.question_id, None)

    def answer_question(self, question_id: bytes, reply: bytes) -> bool:
        found = self._buffer.get(self._keys.questions, question_id)
        if found is None:
            return False
        instance_id, request, before = decode(found)
        if before is not None:
            return False
        self._put(question_id, instance_id, request, reply)
        self._buffer.expect(self._keys.questions, question_id, found[:8])
        return True

    def delete_question(self, question_id: bytes) -> None:
        self._buffer.put(self._keys.questions, question_id, None)
        self._buffer.place(self._keys.questions_expiry, question_id, None)
        self._buffer.place(self._keys.asked, question_id, None)

    def forget(self, now: Micros) -> None:
        for question_id in self._buffer.members(Span(self._keys.questions_expiry, high=now, limit=_AT_ONCE)):
            self.delete_question(question_id)

    def _put(self, question_id: bytes, instance_id: str, request: bytes, reply: bytes | None) -> None:
        self._buffer.put(self._keys.questions, question_id, encode((instance_id, request, reply)))
