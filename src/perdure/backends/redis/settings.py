"""What holds for a partition as a whole: its generation, the seal, settings, and what limited queues have left."""

from __future__ import annotations

from perdure.backends.admission import Bucket
from perdure.backends.network.link import Conflict
from perdure.backends.redis.buffer import ABSENT, Buffer
from perdure.backends.redis.encoding import decode
from perdure.backends.redis.keys import Keys, pack
from perdure.backends.redis.scripts import Command
from perdure.backends.rows import encode
from perdure.clock import random_token

GENERATION, SEAL = b"generation", b"seal"
_FIRST = b"0"
_QUEUE = "queue"


class Settings:
    """Belongs to the thread that writes. What is cached is good for one generation, which each commit verifies."""

    def __init__(self, buffer: Buffer, keys: Keys) -> None:
        self._buffer = buffer
        self._keys = keys
        self._generation: bytes | None = None
        self._limited: frozenset[str] | None = None
        self._buckets: dict[str, Bucket | None] = {}
        self._permits: dict[str, bytes] = {}

    def generation(self) -> bytes:
        """Asked for before anything that is good for it alone."""
        if self._generation is None:
            self._generation = self._buffer.get(self._keys.header, GENERATION) or _FIRST
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
        self.begin()

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
        if self._limited is None:
            self._limited = frozenset(name for name, _ in self.queue_limits())
        return queue in self._limited

    def limit_activities(self, queue: str, *, is_limited: bool) -> None:
        """That a row is limited is said when it is read."""
        limited = {name for name, _ in self.queue_limits()}
        (limited.add if is_limited else limited.discard)(queue)
        self._limited = frozenset(limited)
        self.outdate()

    def running_activities(self, queue: str) -> int:
        self._look(queue)
        return self._buffer.count(self._keys.running(queue))

    def bucket(self, queue: str) -> Bucket | None:
        self._look(queue)
        return self._buckets[queue]

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        self._buffer.put(self._keys.buckets, queue.encode(), encode((bucket.level, bucket.at)))
        self._buckets[queue] = bucket

    def take_permit(self, queue: str) -> None:
        """An activity of a limited queue is leased: nobody else may have leased one since it was counted."""
        self._look(queue)
        field = queue.encode()
        self._buffer.expect(self._keys.permits, field, self._permits[queue])
        self._buffer.put(self._keys.permits, field, pack(random_token()))

    def _look(self, queue: str) -> None:
        """The permits' revision is read before what it stands for."""
        if queue not in self._permits:
            field = queue.encode()
            self._permits[queue] = self._buffer.get(self._keys.permits, field) or ABSENT
            found = self._buffer.get(self._keys.buckets, field)
            self._buckets[queue] = None if found is None else Bucket(*decode(found))
