"""How a Redis store is reached and behaves."""

from __future__ import annotations

import msgspec

from perdure.backends.apart import BLOB_THRESHOLD


class RedisOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a store; those of the connection itself stand in the URL, as redis-py takes them."""

    prefix: str = "perdure"
    """What its keys begin with: stores with different prefixes share a server."""
    partitions: int | None = None
    """Into how many a new store is divided; by default 1, and 16 in a cluster. Of one that is there it can't be changed."""
    blob_threshold: int = BLOB_THRESHOLD
    """Payloads of more bytes are kept apart, in blobs. Processes on one store may have different ones."""
    migrate: bool = True
    """Whether to create the store, or bring an older one up to date; if not, that is refused."""
    timeout_seconds: float = 30.0
    """How long the server may take to answer before the connection is given up."""
