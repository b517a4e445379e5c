"""What limited queues have left, in a store with several partitions: kept in one place for each queue, its home.

Activities lie with their instances, in any partition; their leases are counted at the home of their queue:

1. Before a batch that leases some is written, the leases are *taken* there by a script of their own, which goes through only if
   there are still as many permits: others, in this process too, may have taken some since they were counted. What the batch ends
   makes room for what it begins. Then the batch is written; if it isn't, they are given back.
2. When leases have ended, they are given back after that is written.

So there are never more leases than permits; a process that dies between two of these writes leaves too many taken. Each partition
therefore compares what is taken for it with its own index of what runs, once a minute in each process that keeps house, and puts
right what is older than a minute.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping

from perdure.backends.admission import Bucket
from perdure.backends.network.link import Conflict
from perdure.backends.redis.buffer import Buffer
from perdure.backends.redis.encoding import decode
from perdure.backends.redis.keys import Keys, unpack
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.scripts import AT_MOST, RETURN_PERMITS, TAKE_PERMITS, read
from perdure.clock import Micros
from perdure.model.inspection import QueueLimits

_log = logging.getLogger("perdure.store")

_SETTLED: Micros = 60_000_000
"""What was taken longer ago than this belongs to a batch that is written, or never will be."""
_FOR_EVER: Micros = 1 << 62


class Permits:
    """Belongs to the thread that writes to a partition."""

    def __init__(self, buffer: Buffer, layout: Layout, number: int) -> None:
        self._buffer = buffer
        self._layout = layout
        self._partition = layout.partition(number)
        self._keys: Keys = layout.keys[number]
        self._buckets: dict[str, Bucket | None] = {}
        """What was read of a queue at its home in this batch, less what the batch takes."""
        self._running: dict[str, int] = {}
        """How many of its activities ran when that was read."""
        self._taken: dict[str, list[bytes]] = {}
        """By queue, leases."""

    # --- counting

    def running(self, queue: str) -> int:
        self._look(queue)
        return self._running[queue]

    def bucket(self, queue: str) -> Bucket | None:
        self._look(queue)
        return self._buckets[queue]

    def _look(self, queue: str) -> None:
        """Both are of one moment, and take one round trip."""
        if queue not in self._running:
            home = self._layout.home_of(queue)
            looks = [("ZCARD", home.begun(queue)), ("HGET", home.buckets, queue.encode())]
            count, found = read(self._buffer.client, looks)
            self._running[queue] = int(count)
            self._buckets[queue] = None if found is None else Bucket(*decode(found))

    def put_bucket(self, queue: str, bucket: Bucket) -> None:
        self._buckets[queue] = bucket

    # --- the batch

    def take(self, limited: Mapping[str, QueueLimits]) -> None:
        """For the leases that the batch begins. Raises Conflict."""
        for queue, limits in limited.items():
            begun = self._members(queue, begun=True)
            if not begun:
                continue
            bucket, ended = self._buckets.get(queue), self._members(queue, begun=False)
            now = 0 if bucket is None else bucket.at
            most = ("" if each is None else each for each in (limits.at_once, limits.per_second))
            self._taken[queue] = begun
            arguments = [queue, *most, now, len(ended), *ended, *begun]
            if TAKE_PERMITS.run(self._buffer.client, self._home_keys(queue), arguments) != b"taken":
                raise Conflict(f"others have begun activities of {queue} meanwhile")

    def give_back(self) -> None:
        """The batch isn't written. Raises nothing: what stays taken is found later."""
        taken, self._taken = self._taken, {}
        for queue, members in taken.items():
            self._return(queue, members, is_unused=True)
        self._forget()

    def written(self, limited: Iterable[str]) -> None:
        """The batch is: what it has ended is free. Raises nothing."""
        for queue in limited:
            ended = self._members(queue, begun=False)
            if ended:
                self._return(queue, ended, is_unused=False)
        self._taken.clear()
        self._forget()

    def _forget(self) -> None:
        self._buckets.clear()
        self._running.clear()

    def _members(self, queue: str, *, begun: bool) -> list[bytes]:
        changed = self._buffer.zsets.get(self._keys.running(queue), {})
        return [member for member, score in changed.items() if (score is not None) == begun]

    def _return(self, queue: str, members: list[bytes], *, is_unused: bool) -> None:
        with contextlib.suppress(Exception):
            RETURN_PERMITS.run(self._buffer.client, self._home_keys(queue), [queue, int(is_unused), *members])

    def _home_keys(self, queue: str) -> list[bytes]:
        home = self._layout.home_of(queue)
        return [home.begun(queue), home.buckets]

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
            _log.info(
                "of queue %s %d leases were counted for nothing and %d weren't counted, which is put right",
                queue,
                len(stale),
                len(missing),
                extra={"queue": queue},
            )
        for first in range(0, len(stale), AT_MOST):
            client.execute_command("ZREM", home, *stale[first : first + AT_MOST])
        self._add(home, missing, now)

    def _add(self, home: bytes, members: Iterable[bytes], now: Micros) -> None:
        entries: defaultdict[int, list[object]] = defaultdict(list)
        for place, member in enumerate(members):
            entries[place // (AT_MOST // 2)] += (now, member)
        for some in entries.values():
            self._buffer.client.execute_command("ZADD", home, *some)
