"""What goes with an instance."""

from __future__ import annotations

from perdure.backends.redis.buffer import Buffer
from perdure.backends.redis.keys import Keys, pack
from perdure.backends.rows import InstanceRow


def remove_instance(buffer: Buffer, keys: Keys, row: InstanceRow) -> None:
    """Everything but its entries in indexes. What stands in the children of its parent is an entry, too."""
    key = pack(row.key)
    buffer.put(keys.instances, key, None)
    buffer.put(keys.ids, row.instance_id.encode(), None)
    for number in range(1, row.execution_number + 1):
        buffer.drop(keys.events(row.key, number))
    for message_id in buffer.get_all(keys.receipts_of(row.key)):
        buffer.place(keys.receipts, key + message_id, None)
    for blob_id in buffer.get_all(keys.blobs_of(row.key)):
        buffer.put(keys.blobs, blob_id, None)
    for whole in (keys.executions, keys.pending, keys.published, keys.receipts_of, keys.blobs_of):
        buffer.drop(whole(row.key))
