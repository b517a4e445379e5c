"""`Looking` on all partitions of a Redis: one instance is looked up where it lies, lists are merged."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from perdure.backends.cursors import decode_cursor, encode_cursor
from perdure.backends.exports import Snapshot
from perdure.backends.looking import HistoryRow
from perdure.backends.protocol import WorkerStart
from perdure.backends.redis import listing, overview
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.looking import RedisLooking
from perdure.backends.rows import InstanceRow
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import Ended, InstanceFilter, Page, PendingActivity, QueueStatus, WorkerStatus
from perdure.model.instance import Execution, Instance, Outcome, State

_KEYS = 500


class LookingEverywhere:
    """Over one client, in whose thread it is used."""

    def __init__(self, parts: Sequence[RedisLooking], layout: Layout) -> None:
        self._parts = parts
        self._partition = layout.partition(0)

    def _of(self, instance_id: str) -> RedisLooking:
        return self._parts[self._partition.of_id(instance_id)]

    def _of_key(self, key: int) -> RedisLooking:
        return self._parts[self._partition.of_key(key)]

    # --- one instance

    def read_instance(self, instance_id: str) -> Instance:
        return self._of(instance_id).read_instance(instance_id)

    def read_executions(self, instance_id: str) -> Sequence[Execution]:
        return self._of(instance_id).read_executions(instance_id)

    def read_started(self, instance_id: str) -> ExecutionStarted:
        return self._of(instance_id).read_started(instance_id)

    def read_outcome(self, instance_id: str) -> Outcome | None:
        return self._of(instance_id).read_outcome(instance_id)

    def read_published(self, instance_id: str, name: str) -> bytes | None:
        return self._of(instance_id).read_published(instance_id, name)

    def read_activities(self, instance_id: str) -> Sequence[PendingActivity]:
        return self._of(instance_id).read_activities(instance_id)

    def instance_key(self, instance_id: str) -> int:
        return self._of(instance_id).instance_key(instance_id)

    def execution_number(self, instance_key: int, execution_id: bytes | None) -> int | None:
        return self._of_key(instance_key).execution_number(instance_key, execution_id)

    def read_rows(self, instance_key: int, number: int, from_position: int) -> tuple[list[HistoryRow], bool]:
        return self._of_key(instance_key).read_rows(instance_key, number, from_position)

    def read_histories(self, executions: Mapping[int, bytes]) -> dict[int, list[HistoryRow]]:
        parts: dict[RedisLooking, dict[int, bytes]] = {}
        for key, execution_id in executions.items():
            parts.setdefault(self._of_key(key), {})[key] = execution_id
        found: dict[int, list[HistoryRow]] = {}
        for part, of_part in parts.items():
            found |= part.read_histories(of_part)
        return found

    def snapshot_of(self, key: int) -> Snapshot | None:
        return self._of_key(key).snapshot_of(key)

    # --- many

    def list_instances(self, where: InstanceFilter, cursor: str | None, limit: int) -> Page[Instance]:
        below = None if cursor is None else decode_cursor(cursor)
        found = list(islice(self._matching(where, below=below), limit + 1))
        page = found[:limit]
        following = encode_cursor(page[-1].key) if len(found) > limit and page else None
        shown = {
            instance.instance_id: instance
            for part in self._parts
            for instance in part.as_instances([row for row in page if self._of_key(row.key) is part])
        }
        return Page(tuple(shown[row.instance_id] for row in page), following)

    def count_instances(self, where: InstanceFilter) -> dict[State, int]:
        counts: Counter[State] = Counter()
        for part in self._parts:
            counts.update(part.count_instances(where))
        return dict(counts)

    def next_keys(self, where: InstanceFilter, after: int) -> list[int]:
        return [row.key for row in islice(self._matching(where, above=after), _KEYS)]

    def ended_keys(self, where: InstanceFilter, after: Ended | None, limit: int) -> list[Ended]:
        return sorted(each for part in self._parts for each in part.ended_keys(where, after, limit))[:limit]

    def expired_keys(self, now: Micros, limit: int) -> list[int]:
        found = (each for part in self._parts for each in listing.expired(part.client, part.keys, now, limit))
        return [key for _, key in sorted(found)[:limit]]

    def _matching(
        self, where: InstanceFilter, *, below: int | None = None, above: int | None = None
    ) -> Iterator[InstanceRow]:
        """Newest first, below a key; or oldest first, if they are to be above one."""
        page = max(10, _KEYS // len(self._parts))
        found = (part.matching(where, below=below, above=above, page=page) for part in self._parts)
        return heapq.merge(*found, key=lambda row: row.key, reverse=above is None)

    def read_ended(self, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
        wakes = Wakes()
        for part in self._parts:
            found = part.read_ended([each for each in ids if self._of(each) is part], questions)
            wakes.gone |= found.gone
            wakes.outcomes |= found.outcomes
            wakes.replies |= found.replies
        return wakes

    # --- the store

    def list_queues(self, now: Micros) -> Sequence[QueueStatus]:
        return overview.merge_queues([part.list_queues(now) for part in self._parts])

    def list_workers(self, now: Micros) -> Sequence[WorkerStatus]:
        return overview.merge_workers([part.workers(now) for part in self._parts])

    def read_start(self, worker_key: int) -> WorkerStart | None:
        return self._parts[0].read_start(worker_key)

    def read_blob(self, blob_id: bytes) -> bytes | None:
        return next((found for part in self._parts if (found := part.read_blob(blob_id)) is not None), None)

    def list_settings(self, kind: str) -> dict[str, bytes]:
        return self._parts[0].list_settings(kind)
