"""What goes with an instance."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.backends.redis.buffer import Buffer
from perdure.backends.redis.keys import Keys, pack
from perdure.backends.rows import InstanceRow


def remove_instances(buffer: Buffer, keys: Keys, rows: Sequence[InstanceRow]) -> None:
    """Everything but their entries in indexes. What stands in the children of a parent is an entry, too."""
    receipts = buffer.get_whole([keys.receipts_of(row.key) for row in rows])
    blobs = buffer.get_whole([keys.blobs_of(row.key) for row in rows])
    for row, message_ids, blob_ids in zip(rows, receipts, blobs, strict=True):
        key = pack(row.key)
        buffer.put(keys.instances, key, None)
        buffer.put(keys.ids, row.instance_id.encode(), None)
        for number in range(1, row.execution_number + 1):
            buffer.drop(keys.events(row.key, number))
        for message_id in message_ids:
            buffer.place(keys.receipts, key + message_id, None)
        for blob_id in blob_ids:
            buffer.put(keys.blobs, blob_id, None)
        for whole in (keys.executions, keys.pending, keys.published, keys.receipts_of, keys.blobs_of):
            buffer.drop(whole(row.key))
