"""Reading and removing what comes in pages, and the figures of a whole store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

import msgspec

from perdure.backends.protocol import Inspection
from perdure.backends.weight import with_payloads
from perdure.client.repeating import repeat
from perdure.model.inspection import HistoryEvent, InstanceFilter, QueueStatus, WorkerStatus
from perdure.model.instance import Instance, State
from perdure.serialization.saved import SavedHistory

_INSTANCES = 200
_EVENTS = 1000
_PRUNED_AT_ONCE = 100
_REST = 3.0
"""So many times as long as a step of pruning took, others have the store to themselves."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A store at a glance."""

    instances: Mapping[State, int]
    """How many of each state; states without any are left out."""
    stuck: int
    """Of the running ones, those that can't go on."""
    suspended: int
    """Of the running ones, those that an operator holds."""
    queues: tuple[QueueStatus, ...]
    workers: tuple[WorkerStatus, ...]


async def read_instances(store: Inspection, where: InstanceFilter) -> AsyncIterator[Instance]:
    """Every matching instance, newest first."""
    cursor: str | None = None
    while True:
        page = await repeat(partial(store.list_instances, where, cursor=cursor, limit=_INSTANCES))
        for instance in page.items:
            yield instance
        cursor = page.cursor
        if cursor is None:
            return


async def read_history(
    store: Inspection, instance_id: str, execution_id: str | None, *, blobs: bool = False
) -> AsyncIterator[HistoryEvent]:
    """The history of one execution; it may grow meanwhile.

    Without `execution_id` it is the one that is current at the first page: a continue-as-new between two pages must
    not splice two histories.
    """
    if execution_id is None:
        execution_id = (await repeat(partial(store.read_instance, instance_id))).execution_id
    last = -1
    while True:
        events = await repeat(
            partial(store.read_history, instance_id, execution_id=execution_id, after=last, limit=_EVENTS)
        )
        for event in events:
            yield await repeat(partial(with_payloads, store, event)) if blobs else event
        if len(events) < _EVENTS:
            return
        last = events[-1].position


async def read_saved(store: Inspection, instance: Instance, execution_id: str) -> SavedHistory:
    """The history of one of its executions, to be kept or replayed."""
    events = [each.event async for each in read_history(store, instance.instance_id, execution_id, blobs=True)]
    return SavedHistory.of(instance, execution_id, tuple(events))


async def prune_instances(
    store: Inspection, where: InstanceFilter, limit: int | None, progress: Callable[[int], object] | None
) -> int:
    """Remove ended instances that match, at most `limit`; how many there were."""
    time = asyncio.get_running_loop().time
    removed, after = 0, None
    while limit is None or removed < limit:
        began_at = time()
        asked = _PRUNED_AT_ONCE if limit is None else min(_PRUNED_AT_ONCE, limit - removed)
        pruned = await repeat(partial(store.prune, where, after=after, limit=asked))
        removed, after = removed + pruned.removed, pruned.last
        if progress is not None and pruned.removed:
            progress(removed)
        if after is None:
            break
        await asyncio.sleep(_REST * (time() - began_at))
    return removed


async def _count_running(store: Inspection, where: InstanceFilter) -> int:
    return (await repeat(partial(store.count_instances, where))).get(State.RUNNING, 0)


async def read_stats(store: Inspection) -> Stats:
    """The figures of the store; each is right by itself, they aren't of one moment."""
    return Stats(
        instances=await repeat(store.count_instances),
        stuck=await _count_running(store, InstanceFilter(stuck=True)),
        suspended=await _count_running(store, InstanceFilter(suspended=True)),
        queues=tuple(await repeat(store.list_queues)),
        workers=tuple(await repeat(store.list_workers)),
    )
