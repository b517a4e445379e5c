"""Queues and workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from perdure.backends.protocol import WorkerStart
from perdure.backends.redis.buffer import as_dict
from perdure.backends.redis.keys import Keys, activity_place, instance_place, unpack
from perdure.backends.redis.scripts import Client, Command, read
from perdure.backends.redis.shown import as_datetime
from perdure.backends.redis.workers import worker_row
from perdure.clock import Micros, to_datetime
from perdure.model.inspection import QueueStatus, WorkerStatus

_decode_start = msgspec.msgpack.Decoder(WorkerStart).decode


def list_queues(client: Client, keys: Keys, now: Micros) -> list[QueueStatus]:
    """By name."""
    names = sorted(name.decode() for name in read(client, [("HKEYS", keys.queues)])[0])
    if not names:
        return []
    commands: list[Command] = []
    for name in names:
        commands += (
            ("ZRANGE", keys.ready_instances(name), 0, -1),
            ("ZRANGEBYSCORE", keys.waiting_instances(name), "-inf", now),
            ("ZRANGE", keys.ready_activities(name), 0, -1),
            ("ZRANGEBYSCORE", keys.waiting_activities(name), "-inf", now),
            ("ZCARD", keys.running(name)),
        )
    found = iter(read(client, commands))
    rows = [
        _queue(name, [*ready, *due], [*ready_too, *due_too], running)
        for name, ready, due, ready_too, due_too, running in zip(names, found, found, found, found, found, strict=True)
    ]
    return [row for row in rows if row.workflow_tasks or row.activity_tasks or row.running_activities]


def _queue(name: str, instances: list[bytes], activities: list[bytes], running: int) -> QueueStatus:
    times = [instance_place(member)[2] for member in instances] + [activity_place(member)[4] for member in activities]
    return QueueStatus(
        queue=name,
        workflow_tasks=len(instances),
        activity_tasks=len(activities),
        running_activities=running,
        oldest_due_at=as_datetime(min(times, default=None)),
    )


def merge_queues(partitions: Sequence[Sequence[QueueStatus]]) -> list[QueueStatus]:
    """By name."""
    found: defaultdict[str, list[QueueStatus]] = defaultdict(list)
    for partition in partitions:
        for status in partition:
            found[status.queue].append(status)
    return [
        QueueStatus(
            queue=name,
            workflow_tasks=sum(each.workflow_tasks for each in some),
            activity_tasks=sum(each.activity_tasks for each in some),
            running_activities=sum(each.running_activities for each in some),
            oldest_due_at=min((each.oldest_due_at for each in some if each.oldest_due_at is not None), default=None),
        )
        for name, some in sorted(found.items())
    ]


def merge_workers(partitions: Sequence[Mapping[bytes, WorkerStatus]]) -> list[WorkerStatus]:
    """By start. A worker lives as long as it does in all partitions."""
    found: defaultdict[bytes, list[WorkerStatus]] = defaultdict(list)
    for partition in partitions:
        for key, status in partition.items():
            found[key].append(status)
    return [
        msgspec.structs.replace(
            some[0],
            is_alive=all(each.is_alive for each in some),
            instances=sum(each.instances for each in some),
            activities=sum(each.activities for each in some),
        )
        for _, some in sorted(found.items())
    ]


def list_workers(client: Client, keys: Keys, now: Micros) -> dict[bytes, WorkerStatus]:
    """By key, and by start."""
    found, beaten, alive = read(
        client, [("HGETALL", keys.workers), ("HGETALL", keys.beats), ("ZRANGEBYSCORE", keys.alive, f"({now}", "+inf")]
    )
    rows, beats = as_dict(found), as_dict(beaten)
    order = sorted(rows)
    if not order:
        return {}
    commands: list[Command] = []
    for key in order:
        worker = unpack(key)
        commands += (("ZCARD", keys.leased_instances(worker)), ("ZCARD", keys.leased_activities(worker)))
    counts = iter(read(client, commands))
    return {
        key: _status(rows[key], int(beats.get(key, 0)), key in alive, instances, activities)
        for key, instances, activities in zip(order, counts, counts, strict=True)
    }


def _status(value: bytes, beaten_at: Micros, is_alive: bool, instances: int, activities: int) -> WorkerStatus:
    row = worker_row(value)
    start = _decode_start(row.start)
    return WorkerStatus(
        worker=start.name,
        started_at=to_datetime(row.started_at),
        last_heartbeat_at=to_datetime(beaten_at),
        is_alive=is_alive,
        workflow_queues=start.workflow_queues,
        activity_queues=start.activity_queues,
        instances=instances,
        activities=activities,
    )


def read_start(client: Client, keys: Keys, worker_key: int) -> WorkerStart | None:
    (found,) = read(client, [("HGET", keys.workers, worker_key.to_bytes(8))])
    return None if found is None else _decode_start(worker_row(found).start)
