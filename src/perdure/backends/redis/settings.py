"""What holds for a partition as a whole: its generation, the seal, settings, and what limited queues have left."""

from __future__ import annotations

import msgspec

from perdure.backends.admission import Bucket
from perdure.backends.network.link import Conflict
from perdure.backends.redis.buffer import ABSENT, Buffer
from perdure.backends.redis.encoding import decode
from perdure.backends.redis.keys import Keys, pack
from perdure.backends.redis.permits import Permits
from perdure.backends.redis.scripts import FINISH, Command
from perdure.backends.rows import encode
from perdure.clock import Micros, random_token
from perdure.model.inspection import QueueLimits

GENERATION, SEAL = b"generation", b"seal"
_FIRST, _UNFINISHED = b"0", b"unfinished"
_QUEUE = "queue"
_decode_limits = msgspec.json.Decoder(QueueLimits).decode
_AUDITED_EACH: Micros = 60_000_000


class Settings:
    """Belongs to the thread that writes. What is cached is good for one generation, which each commit verifies."""

    def __init__(self, buffer: Buffer, keys: Keys) -> None:
        self._buffer = buffer
        self._keys = keys
        self._generation: bytes | None = None
        self._limited: dict[str, QueueLimits] | None = None
        self._buckets: dict[str, Bucket | None] = {}
        self._permits: dict[str, bytes] = {}
        self._shared: Permits | None = None
        self._adopts: set[str] = set()
        """Queues that have limits from this batch on."""
        self._audited_at: Micros = 0

    def move_in(self, shared: Permits) -> None:
        """The store has several partitions, which share the permits of limited queues."""
        self._shared = shared

    def generation(self) -> bytes:
        """Asked for before anything that is good for it alone."""
        if self._generation is None:
            found = self._buffer.get(self._keys.header, GENERATION) or _FIRST
            if found == _UNFINISHED:
                FINISH.run(self._buffer.client, [self._keys.header, self._keys.unfinished], [])
                found = self._buffer.get(self._keys.header, GENERATION) or _FIRST
            self._generation = found
        return self._generation

    @property
    def asked(self) -> Command:
        """What `verify` is to be given."""
        return ("HGET", self._keys.header, GENERATION)

    def verify(self, generation: bytes | None) -> None:
        """For those who write nothing. Raises Conflict."""
        if (generation or _FIRST) != self.generation():
            self.forget()
            raise Conflict("others have changed the generation meanwhile")

    def outdate(self) -> None:
        """With this batch, what others have cached is no longer good."""
        self._buffer.put(self._keys.header, GENERATION, b"%d" % (int(self.generation()) + 1))

    def sent(self, written: bytes | None) -> None:
        """The batch is written, with that generation if it has one of its own."""
        self._generation = written or self._generation
        if self._shared is not None:
            self._shared.written(self._limited or ())
            for queue in self._adopts:
                self._shared.adopt(queue)
            self._adopts.clear()
        self.begin()

    def take_permits(self) -> None:
        """For what the batch leases, in a store with several partitions. Raises Conflict."""
        if self._shared is not None:
            self._shared.take(self._limited_queues())

    def give_permits_back(self) -> None:
        """The batch isn't written, as far as is known. Raises nothing."""
        if self._shared is not None:
            self._shared.give_back()
        self._adopts.clear()

    def begin(self) -> None:
        """What counts is read again in each batch."""
        self._buckets.clear()
        self._permits.clear()

    def forget(self) -> None:
        self._generation = self._limited = None
        self.begin()

    # --- the seal

    def seal_target(self) -> str | None:
        self.generation()
        found = self._buffer.get(self._keys.header, SEAL)
        return None if found is None else found.decode()

    def set_seal(self, target: str | None) -> None:
        self._buffer.put(self._keys.header, SEAL, None if target is None else target.encode())
        self.outdate()

    # --- settings

    def put_setting(self, kind: str, name: str, value: bytes) -> None:
        self._buffer.put(self._keys.settings(kind), name.encode(), value)

    def delete_setting(self, kind: str, name: str) -> bool:
        key, field = self._keys.settings(kind), name.encode()
        was_there = self._buffer.get(key, field) is not None
        if was_there:
            self._buffer.put(key, field, None)
            if kind == _QUEUE:
                self._buffer.put(self._keys.buckets, field, None)
                self._buckets.pop(name, None)
        return was_there

    # --- limits

    def queue_limits(self) -> list[tuple[str, bytes]]:
        self.generation()
        found = self._buffer.get_all(self._keys.settings(_QUEUE))
        return [(name.decode(), value) for name, value in found.items()]

    def is_limited(self, queue: str) -> bool:
        return queue in self._limited_queues()

    def _limited_queues(self) -> dict[str, QueueLimits]:
        if self._limited is None:
            self._limited = {name: _decode_limits(value) for name, value in self.queue_limits()}
        return self._limited

    def limit_activities(self, queue: str, *, is_limited: bool) -> None:
        """That a row is limited is said when it is read."""
        if self._shared is not None and is_limited:
            self._adopts.add(queue)
        self._limited = None  # the setting stands in the batch
        self.outdate()

    def running_activities(self, queue: str) -> int:
        if self._shared is not None:
            return self._shared.running(queue)
        self._look(queue)
        return self._buffer.count(self._keys.running(queue))

    def bucket(self, queue: str, *, lock: bool = False) -> Bucket | None:
        if self._shared is not None:
            return self._shared.bucket(queue)
        self._look(queue)
        return self._buckets[queue]

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        if self._shared is not None:
            self._shared.put_bucket(queue, bucket)
            return
        self._buffer.put(self._keys.buckets, queue.encode(), encode((bucket.level, bucket.at)))
        self._buckets[queue] = bucket

    def take_permit(self, queue: str) -> None:
        """An activity of a limited queue is leased: nobody else may have leased one since it was counted."""
        if self._shared is not None:
            return  # they are taken by what the index of running ones gets
        self._look(queue)
        field = queue.encode()
        self._buffer.expect(self._keys.permits, field, self._permits[queue])
        self._buffer.put(self._keys.permits, field, pack(random_token()))

    def audit(self, now: Micros) -> None:
        """Now and then, in a store with several partitions: what was broken off is put right."""
        if self._shared is None or now - self._audited_at < _AUDITED_EACH:
            return
        self._audited_at = now
        for queue, _ in self.queue_limits():
            self._shared.audit(queue, now)

    def _look(self, queue: str) -> None:
        """The permits' revision is read before what it stands for."""
        if queue not in self._permits:
            field = queue.encode()
            self._permits[queue] = self._buffer.get(self._keys.permits, field) or ABSENT
            found = self._buffer.get(self._keys.buckets, field)
            self._buckets[queue] = None if found is None else Bucket(*decode(found))
