"""What operators change besides instances' lives: blobs, settings, pruning, the seal."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from perdure.backends.rules.limiting import limit
from perdure.backends.rules.lives import give_leases_back
from perdure.backends.unit.unit import Unit
from perdure.errors import ConfigurationError
from perdure.model.inspection import QueueLimits, SettingKind


def put_blob(unit: Unit, instance_key: int, blob_id: bytes, data: bytes) -> None:
    unit.tables.put_blob(instance_key, blob_id, data)


def put_setting(unit: Unit, kind: SettingKind, name: str, value: bytes) -> None:
    unit.flush()
    if kind is SettingKind.QUEUE:
        try:
            msgspec.json.decode(value, type=QueueLimits)
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(f"the limits of queue {name!r} are no JSON QueueLimits: {problem}") from problem
    unit.tables.put_setting(kind.value, name, value)
    if kind is SettingKind.QUEUE:
        limit(unit, name, is_limited=True)


def delete_setting(unit: Unit, kind: SettingKind, name: str) -> bool:
    unit.flush()
    was_there = unit.tables.delete_setting(kind.value, name)
    if was_there and kind is SettingKind.QUEUE:
        limit(unit, name, is_limited=False)
    return was_there


def remove_ended(unit: Unit, keys: Iterable[int]) -> int:
    """Those of them that are here, have ended, and are to be had; how many."""
    unit.flush()
    here = [key for key in keys if unit.keys.partition.owns(key)]
    free = unit.tables.free_instances(here) if here else ()
    unit.prefetch((), free, ())
    rows = [row for key in free if (row := unit.instance(key)) is not None and not row.is_running]
    awaited = unit.undelivered(rows)
    rows = [row for row in rows if row.key not in awaited]
    unit.remove_instances(rows)
    return len(rows)


def seal(unit: Unit, target: str | None) -> None:
    """With the seal all leases end, so that no token of before holds after it is broken."""
    unit.flush()
    unit.settled.seal_changed()
    unit.tables.set_seal(target)
    if target is None:
        return
    for worker_key in unit.tables.all_workers():
        give_leases_back(unit, worker_key)
        unit.wakes.worker_due(worker_key, unit.now)
