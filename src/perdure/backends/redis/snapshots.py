"""Everything of an instance, as it is at one moment."""

from __future__ import annotations

from perdure.backends.exports import Snapshot
from perdure.backends.redis.buffer import as_dict
from perdure.backends.redis.encoding import decode, decode_activity, decode_instance
from perdure.backends.redis.histories import split, started_of
from perdure.backends.redis.keys import Keys, pack
from perdure.backends.redis.scripts import Client, Command, read
from perdure.backends.rows import InstanceRow, decode_started
from perdure.backends.snapshots import PastExecution, snapshot


def snapshot_of(client: Client, keys: Keys, key: int) -> Snapshot | None:
    """None if it has gone."""
    while True:
        (value,) = read(client, [("HGET", keys.instances, pack(key))])
        if value is None:
            return None
        row = decode_instance(value)
        found = _read(client, keys, row, value)
        if found is not None:
            return found


def _read(client: Client, keys: Keys, row: InstanceRow, value: bytes) -> Snapshot | None:
    """What else there is of it; None if it has changed meanwhile."""
    key = row.key
    numbers = range(1, row.execution_number + 1)
    commands: list[Command] = [
        ("HGET", keys.instances, pack(key)),
        ("HGETALL", keys.executions(key)),
        ("HGETALL", keys.pending(key)),
        ("HGETALL", keys.published(key)),
        ("HGETALL", keys.receipts_of(key)),
        ("HKEYS", keys.blobs_of(key)),
        ("ZRANGEBYLEX", keys.open, b"[" + pack(key), b"(" + pack(key + 1)),
        *(("LRANGE", keys.events(key, number), 0, -1) for number in numbers),
    ]
    now, executions, pending, published, receipts, blob_ids, members, *histories = read(client, commands)
    if now != value:
        return None
    activities = _values(client, keys.activities, [member[8:] for member in members])
    blobs = _values(client, keys.blobs, sorted(blob_ids))
    # Attempts come and go without a write of the instance's row only by heartbeats.
    rows = sorted((decode_activity(some) for some in activities.values()), key=lambda some: some.number)
    past: list[PastExecution] = []
    for number, encoded in sorted((int(number), encoded) for number, encoded in as_dict(executions).items()):
        execution_id, *rest = decode(encoded)
        past.append((execution_id, number, *rest))
    return snapshot(
        row,
        started=decode_started(row.started)
        if row.started is not None
        else started_of(client, keys, key, row.execution_number),
        past=past,
        events=[(number, *split(some)) for number, history in zip(numbers, histories, strict=True) for some in history],
        pending=sorted((int(number), event) for number, event in as_dict(pending).items()),
        activities=rows,
        published=sorted((name.decode(), said) for name, said in as_dict(published).items()),
        receipts=[(message_id, int(until)) for message_id, until in as_dict(receipts).items()],
        blobs=list(blobs.items()),
    )


def _values(client: Client, key: bytes, fields: list[bytes]) -> dict[bytes, bytes]:
    if not fields:
        return {}
    (values,) = read(client, [("HMGET", key, *fields)])
    return {field: value for field, value in zip(fields, values, strict=True) if value is not None}
