"""What limited queues have left, in a store with several partitions: kept in one place for each queue, its home.

Activities lie with their instances, in any partition; their leases are counted at the home of their queue:

1. Before a batch that leases some is written, the leases are *taken* there by a script of their own, which goes through only if
   nobody has taken any since they were counted. Then the batch is written; if it isn't, they are given back.
2. When leases have ended, they are given back after that is written.

So there are never more leases than permits; a process that dies between two of these writes leaves too many taken. Each partition
therefore compares what is taken for it with its own index of what runs, once a minute in each process that keeps house, and puts
right what is older than a minute.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable

from perdure.backends.admission import Bucket
from perdure.backends.network.link import Conflict
from perdure.backends.redis.buffer import ABSENT, Buffer
from perdure.backends.redis.encoding import decode
from perdure.backends.redis.keys import Keys, pack, unpack
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.scripts import AT_MOST, RETURN_PERMITS, TAKE_PERMITS, read
from perdure.backends.rows import encode
from perdure.clock import Micros, random_token

_log = logging.getLogger("perdure.store")

_SETTLED: Micros = 60_000_000
"""What was taken longer ago than this belongs to a batch that is written, or never will be."""
_FOR_EVER: Micros = 1 << 62


class Counted:
    """What was read of a queue at its home, in this batch."""

    __slots__ = ("bucket", "new_bucket", "revision", "stored_bucket")

    def __init__(self, revision: bytes, stored_bucket: bytes | None) -> None:
        self.revision = revision
        self.stored_bucket = stored_bucket
        self.bucket = None if stored_bucket is None else Bucket(*decode(stored_bucket))
        self.new_bucket: bytes | None = None


class Permits:
    """Belongs to the thread that writes to a partition."""

    def __init__(self, buffer: Buffer, layout: Layout, number: int) -> None:
        self._buffer = buffer
        self._layout = layout
        self._partition = layout.partition(number)
        self._keys: Keys = layout.keys[number]
        self._counted: dict[str, Counted] = {}
        self._taken: dict[str, tuple[list[bytes], bytes]] = {}
        """By queue, leases and the revision of that."""

    # --- counting

    def running(self, queue: str) -> int:
        self._count(queue)
        (found,) = read(self._buffer.client, [("ZCARD", self._layout.home_of(queue).begun(queue))])
        return int(found)

    def bucket(self, queue: str, *, lock: bool = False) -> Bucket | None:
        return self._count(queue).bucket

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        counted = self._count(queue)
        counted.bucket, counted.new_bucket = bucket, encode((bucket.level, bucket.at))

    def _count(self, queue: str) -> Counted:
        """The revision is read before, or with, what it stands for."""
        counted = self._counted.get(queue)
        if counted is None:
            home, field = self._layout.home_of(queue), queue.encode()
            revision, bucket = read(self._buffer.client, [("HGET", home.permits, field), ("HGET", home.buckets, field)])
            counted = self._counted[queue] = Counted(revision or ABSENT, bucket)
        return counted

    # --- the batch

    def take(self, limited: Iterable[str]) -> None:
        """For the leases that the batch begins. Raises Conflict."""
        for queue in limited:
            members = self._members(queue, begun=True)
            if not members:
                continue
            counted, home, revision = self._count(queue), self._layout.home_of(queue), pack(random_token())
            now = 0 if counted.bucket is None else counted.bucket.at
            keys = [home.begun(queue), home.permits, home.buckets]
            arguments = [queue, counted.revision, revision, counted.new_bucket or b"", now, *members]
            self._taken[queue] = members, revision
            if TAKE_PERMITS.run(self._buffer.client, keys, arguments) != b"taken":
                raise Conflict(f"others have begun activities of {queue} meanwhile")

    def give_back(self) -> None:
        """The batch isn't written. Raises nothing: what stays taken is found later."""
        taken, self._taken = self._taken, {}
        for queue, (members, revision) in taken.items():
            counted = self._counted.get(queue)
            self._return(queue, members, revision, (counted and counted.stored_bucket) or b"")
        self._counted.clear()

    def written(self, limited: Iterable[str]) -> None:
        """The batch is: what it has ended is free. Raises nothing."""
        for queue in limited:
            ended = self._members(queue, begun=False)
            if ended:
                self._return(queue, ended, b"", b"")
        self._taken.clear()
        self._counted.clear()

    def _members(self, queue: str, *, begun: bool) -> list[bytes]:
        changed = self._buffer.zsets.get(self._keys.running(queue), {})
        return [member for member, score in changed.items() if (score is not None) == begun]

    def _return(self, queue: str, members: list[bytes], revision: bytes, bucket: bytes) -> None:
        home = self._layout.home_of(queue)
        keys = [home.begun(queue), home.permits, home.buckets]
        with contextlib.suppress(Exception):
            RETURN_PERMITS.run(self._buffer.client, keys, [queue, revision, bucket, *members])

    # --- putting right

    def adopt(self, queue: str) -> None:
        """The queue has limits from now on: what runs already counts, and nothing of earlier limits."""
        self._put_right(queue, _FOR_EVER, 0)

    def audit(self, queue: str, now: Micros) -> None:
        """What is taken for this partition becomes what runs there."""
        self._put_right(queue, now - _SETTLED, now)

    def _put_right(self, queue: str, settled_before: Micros, now: Micros) -> None:
        client, home = self._buffer.client, self._layout.home_of(queue).begun(queue)
        (found,) = read(client, [("ZRANGE", home, 0, -1, "WITHSCORES")])
        taken = {
            member: int(float(score))
            for member, score in zip(found[::2], found[1::2], strict=True)
            if self._partition.owns(unpack(member))
        }
        (running,) = read(client, [("ZRANGE", self._keys.running(queue), 0, -1)])
        runs = set(running)
        stale = [member for member, at in taken.items() if member not in runs and at < settled_before]
        missing = runs.difference(taken)
        if stale or missing:
            _log.info("%s: %d leases were counted for nothing, %d weren't", queue, len(stale), len(missing))
        for first in range(0, len(stale), AT_MOST):
            client.execute_command("ZREM", home, *stale[first : first + AT_MOST])
        self._add(home, missing, now)

    def _add(self, home: bytes, members: Iterable[bytes], now: Micros) -> None:
        entries: defaultdict[int, list[object]] = defaultdict(list)
        for place, member in enumerate(members):
            entries[place // (AT_MOST // 2)] += (now, member)
        for some in entries.values():
            self._buffer.client.execute_command("ZADD", home, *some)
