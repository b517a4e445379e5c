"""What operators change besides instances' lives: blobs, settings, pruning, the seal."""

from __future__ import annotations

import msgspec

from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.filters import Condition, conditions
from perdure.backends.sqlite.rules.lives import give_leases_back
from perdure.backends.sqlite.unit import Unit
from perdure.errors import ConfigurationError
from perdure.model.inspection import InstanceFilter, QueueLimits, SettingKind


def put_blob(unit: Unit, instance_key: int, blob_id: bytes, data: bytes) -> None:
    unit.connection.execute(sql.PUT_BLOB, (blob_id, instance_key, data))


def put_setting(unit: Unit, kind: SettingKind, name: str, value: bytes) -> None:
    unit.flush()
    if kind is SettingKind.QUEUE:
        try:
            msgspec.json.decode(value, type=QueueLimits)
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(f"the limits of queue {name!r} are no JSON QueueLimits: {problem}") from problem
        _limit(unit, name, is_limited=True)
    unit.connection.execute(sql.PUT_SETTING, (kind.value, name, value))


def delete_setting(unit: Unit, kind: SettingKind, name: str) -> bool:
    unit.flush()
    was_there = unit.connection.execute(sql.DELETE_SETTING, (kind.value, name)).rowcount > 0
    if was_there and kind is SettingKind.QUEUE:
        unit.connection.execute(sql.DELETE_BUCKET, (name,))
        _limit(unit, name, is_limited=False)
    return was_there


def _limit(unit: Unit, queue: str, *, is_limited: bool) -> None:
    unit.connection.execute(sql.LIMIT_ACTIVITIES, (int(is_limited), queue))
    unit.limits_changed()
    unit.wakes.activity_due(queue, unit.now)


def prune(unit: Unit, where: InstanceFilter, limit: int) -> int:
    unit.flush()
    clauses = conditions(where)
    clauses.append(Condition("ended_at is not null"))
    text = " and ".join(clause.text for clause in clauses)
    parameters = [value for clause in clauses for value in clause.parameters]
    statement = f"select key from perdure_instances where {text} order by ended_at, key limit ?"
    found = unit.connection.execute(statement, (*parameters, limit)).fetchall()
    for (key,) in found:
        row = unit.instance(key)
        if row is not None:
            unit.remove_instance(row)
    return len(found)


def seal(unit: Unit, target: str | None) -> None:
    """With the seal all leases end, so that no token of before holds after it is broken."""
    unit.flush()
    unit.seal_changed()
    if target is None:
        unit.connection.execute(sql.UNSEAL)
        return
    unit.connection.execute(sql.SEAL, (target,))
    for (worker_key,) in unit.connection.execute(sql.ALL_WORKERS).fetchall():
        give_leases_back(unit, worker_key)
        unit.wakes.worker_due(worker_key, unit.now)
