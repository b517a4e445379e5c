"""One client of a cluster for all writers of a store in this process: a cluster's map costs more to learn than a connection.

A command of theirs goes straight to the node that has its key, as the map says; what that node doesn't take because the
slot has moved is sent again by redis-py, which learns the map anew. Who loses a connection opens the client again, once for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from redis.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, TryAgainError

_BY_SCRIPT = frozenset({"EVALSHA", "EVAL"})


class SharedCluster:
    """Opens a client when the first asks for it, and another one when that has failed."""

    def __init__(self, connect: Callable[[], RedisCluster]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._client: RedisCluster | None = None
        self._users = 0

    def connect(self) -> SharedClient:
        with self._lock:
            client = self._client
            if client is None:
                client = self._client = self._connect()
            self._users += 1
        return SharedClient(self, client)

    def left(self, client: RedisCluster) -> None:
        """By one who has closed, or lost a connection: others go on with it until they notice."""
        with self._lock:
            self._users -= 1
            if client is self._client:
                self._client = None
            is_last = self._users == 0
        if is_last:
            client.close()


class SharedClient:
    """As much of a client as writers need. Belongs to one thread."""

    def __init__(self, shared: SharedCluster, cluster: RedisCluster) -> None:
        self.cluster = cluster
        self._shared = shared
        self._nodes: dict[bytes, Any] = {}
        """Clients of single nodes, by hash tag."""

    def execute_command(self, *arguments: Any) -> Any:
        key: bytes = arguments[3] if arguments[0] in _BY_SCRIPT else arguments[1]
        tag = key[: key.index(b"}") + 1]
        node = self._nodes.get(tag)
        if node is None:
            node = self._nodes[tag] = self._node_of(tag)
        try:
            return node.execute_command(*arguments)
        except (MovedError, AskError, TryAgainError):
            self._nodes.clear()
            return self.cluster.execute_command(*arguments)  # type: ignore[no-untyped-call]

    def _node_of(self, tag: bytes) -> Any:
        node: Any = self.cluster.nodes_manager.get_node_from_slot(key_slot(tag))
        return self.cluster.get_redis_connection(node)

    def close(self) -> None:
        self._shared.left(self.cluster)
