"""What operators change besides instances' lives: blobs, settings, pruning, the seal."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from perdure.backends.rules.limiting import limit
from perdure.backends.rules.lives import give_leases_back
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.errors import ConfigurationError
from perdure.model.inspection import InstanceFilter, QueueLimits, SettingKind


def put_blob(unit: Unit, instance_key: int, blob_id: bytes, data: bytes) -> None:
    unit.tables.put_blob(instance_key, blob_id, data)


def put_setting(unit: Unit, kind: SettingKind, name: str, value: bytes) -> None:
    unit.flush()
    if kind is SettingKind.QUEUE:
        try:
            msgspec.json.decode(value, type=QueueLimits)
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(f"the limits of queue {name!r} are no JSON QueueLimits: {problem}") from problem
        limit(unit, name, is_limited=True)
    unit.tables.put_setting(kind.value, name, value)


def delete_setting(unit: Unit, kind: SettingKind, name: str) -> bool:
    unit.flush()
    was_there = unit.tables.delete_setting(kind.value, name)
    if was_there and kind is SettingKind.QUEUE:
        limit(unit, name, is_limited=False)
    return was_there


def prune(unit: Unit, where: InstanceFilter, most: int) -> int:
    return remove_ended(unit, [key for _, key in oldest_ended(unit, where, most)])


def oldest_ended(unit: Unit, where: InstanceFilter, most: int) -> list[tuple[Micros, int]]:
    """When they ended, and their keys."""
    unit.flush()
    found = unit.tables.ended_instances(where, most)
    rows = [row for key in found if (row := unit.instance(key)) is not None]
    return [(row.ended_at, row.key) for row in rows if row.ended_at is not None and not unit.has_undelivered(row)]


def remove_ended(unit: Unit, keys: Iterable[int]) -> int:
    """Those of them that are still there, and have ended; how many."""
    rows = [row for key in keys if (row := unit.instance(key)) is not None and not row.is_running]
    for row in rows:
        unit.remove_instance(row)
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
