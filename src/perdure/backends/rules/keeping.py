"""What operators change besides instances' lives: blobs, settings, pruning, the seal."""

from __future__ import annotations

import msgspec

from perdure.backends.rules.lives import give_leases_back
from perdure.backends.unit.unit import Unit
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
        _limit(unit, name, is_limited=True)
    unit.tables.put_setting(kind.value, name, value)


def delete_setting(unit: Unit, kind: SettingKind, name: str) -> bool:
    unit.flush()
    was_there = unit.tables.delete_setting(kind.value, name)
    if was_there and kind is SettingKind.QUEUE:
        _limit(unit, name, is_limited=False)
    return was_there


def _limit(unit: Unit, queue: str, *, is_limited: bool) -> None:
    unit.tables.limit_activities(queue, is_limited=is_limited)
    unit.limits_changed()
    unit.wakes.activity_due(queue, unit.now)


def prune(unit: Unit, where: InstanceFilter, limit: int) -> int:
    unit.flush()
    found = unit.tables.ended_instances(where, limit)
    for key in found:
        row = unit.instance(key)
        if row is not None:
            unit.remove_instance(row)
    return len(found)


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
