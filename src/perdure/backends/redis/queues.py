"""What waits on queues and in workers' hands."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from itertools import islice

from perdure.backends.network.link import Conflict
from perdure.backends.redis.buffer import Buffer, Span, first_of
from perdure.backends.redis.encoding import decode_activity
from perdure.backends.redis.entries import Entries
from perdure.backends.redis.fronts import Fronts
from perdure.backends.redis.keys import (
    CLAIMED,
    NOTHING_DUE,
    Accepts,
    Keys,
    activity_place,
    instance_place,
    lease_place,
    of_activities,
    of_instances,
    pack,
    unpack,
)
from perdure.backends.redis.scripts import PROMOTE, RESERVE, RESTORE
from perdure.backends.redis.settings import Settings
from perdure.backends.unit.tables import Place, Survey
from perdure.clock import Micros
from perdure.model.transition import ClaimTasks

_log = logging.getLogger("perdure.store")

_FEW = 64
_RESERVED: Micros = 1_000_000


class Queues:
    """Belongs to the thread that writes."""

    def __init__(self, buffer: Buffer, keys: Keys, settings: Settings) -> None:
        self._buffer = buffer
        self._keys = keys
        self._settings = settings
        self._empty_until: dict[bytes, Micros] = {}
        """Of queues on which the last look found nothing (by the key of what is ready), when the first one will be due.

        What is guessed by this is verified by `COMMIT`, so that a step asks nothing.
        """

        self._now: Micros = 0
        """When the queues were looked at last."""
        self._fronts: Fronts | None = None
        self._number = 0
        self._named: dict[bytes, bytes] = {}
        """Rows that an index has named in this batch for something to be done to them, with the index."""

    def move_in(self, fronts: Fronts, number: int) -> None:
        """The store has several partitions."""
        self._fronts, self._number = fronts, number

    def verify(self, field: bytes, indexed: Entries | None) -> None:
        """A row was read, None if it isn't there: it must agree with the index that has named it. Raises Conflict."""
        index = self._named.get(field)
        if index is None:
            return
        if indexed is None or not any(index in {key, self._keys.twins.get(key)} for key, _ in indexed):
            raise Conflict(f"others have changed {index.decode()} meanwhile")

    def sent(self) -> None:
        """What is in the buffer is written."""
        self._named.clear()
        for key, members in self._buffer.zsets.items():
            if self._fronts is not None and (queue := self._keys.queue_of.get(key)) is not None:
                self._fronts.change(self._number, queue, members)
            if key in self._empty_until and _adds(self._buffer, key):
                del self._empty_until[key]
            ready = self._keys.ready_behind.get(key)
            if ready in self._empty_until:
                times = [score for score in members.values() if score is not None]
                self._empty_until[ready] = min((self._empty_until[ready], *times))

    def roll_back(self) -> None:
        self._named.clear()
        self._empty_until.clear()

    # --- who may claim

    def ready_instances(
        self, queue: str, names: frozenset[str], versions: frozenset[str] | None, limit: int, *, lock: bool = False
    ) -> list[Place]:
        index = self._keys.ready_instances(queue)
        found = list(islice(filter(of_instances(names, versions), self._buffer.in_order(index)), limit))
        if lock:
            found = self._reserve(self._keys.waiting_instances(queue), index, found)
        places = [instance_place(member)[:2] for member in found]
        if lock:
            self._names(index, [key for _, key in places])
        return places

    def ready_activities(
        self, queue: str, names: frozenset[str], limit: int, *, lock: bool = False
    ) -> list[tuple[int, int, int, int]]:
        index = self._keys.ready_activities(queue)
        found = list(islice(filter(of_activities(names), self._buffer.in_order(index)), limit))
        if lock:
            found = self._reserve(self._keys.waiting_activities(queue), index, found)
        places = [activity_place(member)[:4] for member in found]
        if lock:
            self._names(index, [key for *_, key in places])
        return places

    def _reserve(self, waiting: bytes, ready: bytes, members: list[bytes]) -> list[bytes]:
        """Those that nobody else is claiming at this moment."""
        buffer = self._buffer
        have = {*buffer.zsets.get(ready, ()), *buffer.shown.get(ready, ())}
        stored = [member for member in members if member not in have]
        if stored:
            mine = RESERVE.run(buffer.client, [ready, waiting], [self._now + _RESERVED, *stored])
            for some, key in ((buffer.shown, ready), (buffer.hidden, waiting)):
                some.setdefault(key, set()).update(mine)
            have.update(mine)
        return [member for member in members if member in have]

    def restore(self) -> None:
        """What was reserved and isn't claimed may be claimed by others. Raises nothing: it comes back by itself."""
        for ready, members in self._buffer.shown.items():
            try:
                RESTORE.run(self._buffer.client, [ready, self._keys.twins[ready]], list(members))
            except Exception as problem:
                _log.debug("what was reserved on a queue comes back a second later: %r", problem)

    def held_instances(self, worker_key: int, now: Micros, limit: int) -> list[Place]:
        # All that are due, for the first ones are those of the highest priority.
        index = self._keys.leased_instances(worker_key)
        places = heapq.nsmallest(limit, map(lease_place, self._buffer.members(Span(index, 0, now))))
        self._names(index, [key for _, key in places])
        return places

    def claimed_of_worker(self, worker_key: int) -> list[int]:
        index = self._keys.leased_instances(worker_key)
        keys = [lease_place(member)[1] for member in self._buffer.members(Span(index, CLAIMED, CLAIMED))]
        self._names(index, keys)
        return keys

    def activities_of_worker(self, worker_key: int) -> list[int]:
        index = self._keys.leased_activities(worker_key)
        keys = self._keys_of(Span(index))
        self._names(index, keys)
        return keys

    def _names(self, index: bytes, keys: list[int]) -> None:
        self._named.update((pack(key), index) for key in keys)

    # --- when a moment has come

    def do_instances_wait(self, queue: str, now: Micros) -> tuple[bool, bool]:
        return self._do_wait(self._keys.waiting_instances(queue), self._keys.ready_instances(queue), now)

    def do_activities_wait(self, queue: str, now: Micros) -> tuple[bool, bool]:
        return self._do_wait(self._keys.waiting_activities(queue), self._keys.ready_activities(queue), now)

    def _do_wait(self, waiting: bytes, ready: bytes, now: Micros) -> tuple[bool, bool]:
        buffer, self._now = self._buffer, now
        if now < self._empty_until.get(ready, now) and not _adds(buffer, ready):
            buffer.empty[ready] = (waiting, now)
            return False, False
        first, are_ready = buffer.read([Span(waiting, limit=1), Span(ready, limit=1)])
        due_at = first[0][0] if first else NOTHING_DUE
        if due_at > now and not are_ready:
            self._empty_until[ready] = due_at
        return due_at <= now, bool(are_ready)

    def promote_instances(self, queue: str, now: Micros) -> None:
        self._promote(self._keys.waiting_instances(queue), self._keys.ready_instances(queue), now)

    def promote_activities(self, queue: str, now: Micros) -> None:
        self._promote(self._keys.waiting_activities(queue), self._keys.ready_activities(queue), now)

    def _promote(self, waiting: bytes, ready: bytes, now: Micros) -> None:
        """At once, whatever becomes of the batch: it is right for everybody. A bit at a time, for others wait meanwhile."""
        self._empty_until.pop(ready, None)
        while PROMOTE.run(self._buffer.client, [waiting, ready], [now]):
            continue

    def survey(self, claim: ClaimTasks, now: Micros) -> Survey:
        keys, worker = self._keys, claim.worker_key
        self._now = now
        leases, running = keys.leased_instances(worker), keys.leased_activities(worker)
        spans = [Span(leases, 0, now, 1), Span(leases, now + 1, NOTHING_DUE - 1, 1), Span(running, 1, 1)]
        accepts_instance = of_instances(claim.workflow_names, claim.versions)
        accepts_activity = of_activities(claim.activity_names)
        queues = [
            *(
                (keys.ready_instances(name), keys.waiting_instances(name), accepts_instance)
                for name in claim.workflow_queues
            ),
            *(
                (keys.ready_activities(name), keys.waiting_activities(name), accepts_activity)
                for name in claim.activity_queues
            ),
        ]
        for _, waiting, _ in queues:
            spans += (Span(waiting, high=now, limit=1), Span(waiting, now + 1, limit=_FEW))
        pages = [first_of(ready) for ready, _, _ in queues]
        self._settings.generation()
        held, following, told, *found = self._buffer.read(spans, [*pages, self._settings.asked])
        self._settings.verify(found.pop())
        have_work: list[bool] = []
        times = [at for at, _ in following]
        for place, (ready, waiting, accepts) in enumerate(queues):
            due, later, page = found[2 * place], found[2 * place + 1], found[2 * len(queues) + place]
            if due or page:
                self._empty_until.pop(ready, None)
            if self._fronts is not None:
                self._fronts.see(self._number, self._keys.queue_of[ready], [*page[:_FEW], *(some for _, some in due)])
            have_work.append(bool(due) or any(map(accepts, self._buffer.in_order(ready, page))))
            times += self._first_accepted(waiting, now, accepts, later)
        instances = len(claim.workflow_queues)
        return Survey(
            has_workflow_task=bool(held) or any(have_work[:instances]),
            has_activity=any(have_work[instances:]),
            next_due_at=min(times, default=None),
            told=self._tokens([key for _, key in told]),
        )

    def _first_accepted(
        self, waiting: bytes, now: Micros, accepts: Accepts, page: list[tuple[int, bytes]]
    ) -> Iterator[Micros]:
        """When the first is due that is so later; the page that was read mostly has it."""
        found = (at for at, member in page if accepts(member))
        first = next(found, None)
        if first is None and len(page) == _FEW:
            rest = self._buffer.read([Span(waiting, now + 1)])[0]
            first = next((at for at, member in rest if accepts(member)), None)
        if first is not None:
            yield first

    def _tokens(self, told: list[bytes]) -> tuple[tuple[int, int], ...]:
        if not told:
            return ()
        values = self._buffer.get_many(self._keys.activities, told)
        rows = (decode_activity(value) for value in values if value is not None)
        return tuple((row.key, row.token) for row in rows if row.token is not None)

    # --- what time brings

    def activities_expired(self, now: Micros, limit: int) -> list[int]:
        return self._keys_of(Span(self._keys.expiring, high=now, limit=limit))

    def instances_past_deadline(self, now: Micros, limit: int) -> list[int]:
        return self._keys_of(Span(self._keys.deadlines, high=now, limit=limit))

    def _keys_of(self, span: Span) -> list[int]:
        return [unpack(member) for member in self._buffer.members(span)]


def _adds(buffer: Buffer, key: bytes) -> bool:
    """Whether the batch puts something there."""
    return any(score is not None for score in buffer.zsets.get(key, {}).values())
