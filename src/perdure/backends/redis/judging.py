"""What the server promises: whether it may lose what it has acknowledged, judged when a store is opened (STORES.md B9)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from perdure.backends.redis import faults
from perdure.backends.redis.scripts import Client
from perdure.backends.redis.shared_cluster import SharedClient
from perdure.errors import ConfigurationError

_log = logging.getLogger("perdure.store")

_OLDEST = (6, 2)
_ASKED = ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync")

Settings = Mapping[str, str]


def judge(client: Client, place: str) -> None:
    """Refuse a server that forgets by design, warn about one that may. Raises ConfigurationError.

    In a cluster all nodes are asked, for each has settings of its own; one that can't be reached is passed over.
    """
    nodes = _nodes_of(client)
    can_be_lost: dict[str, list[str]] = {}
    for name, node in nodes.items():
        shown = f"{place} ({name})" if name else place
        try:
            what = _judge_one(node, shown)
        except Exception as problem:
            if not name or not faults.is_lost(problem):
                raise
            _log.warning("%s can't be reached, and wasn't asked for its settings: %s", shown, problem)
            continue
        if what is not None:
            can_be_lost.setdefault(what, []).append(name)
    for what, names in can_be_lost.items():
        which = "" if len(names) == len(nodes) else f" ({', '.join(names)})"
        _log.warning("the settings of %s put work at risk: %s", f"{place}{which}", what)


def _nodes_of(client: Client) -> dict[str, Any]:
    """Clients of single servers, by what tells them apart."""
    cluster: Any = client.cluster if isinstance(client, SharedClient) else client
    if not isinstance(cluster, RedisCluster):
        return {"": client}
    nodes: Any = cluster.get_nodes()  # type: ignore[no-untyped-call]
    return {node.name: cluster.get_redis_connection(node) for node in nodes}


def _judge_one(client: Any, place: str) -> str | None:
    """What can be lost."""
    _judge_version(client, place)
    settings = _read_settings(client, place)
    if settings.get("maxmemory", "0") != "0" and settings.get("maxmemory-policy", "noeviction") != "noeviction":
        raise ConfigurationError(
            f"{place} evicts keys when its memory is full (maxmemory-policy {settings['maxmemory-policy']}): workflows would "
            f"vanish. Set maxmemory-policy noeviction there, or use a server that is no cache."
        )
    return _what_can_be_lost(settings)


def _what_can_be_lost(settings: Settings) -> str | None:
    appendonly = settings.get("appendonly")
    if appendonly == "no":
        return (
            "appendonly is no: whatever was written since the last snapshot is lost when the server dies, acknowledged or not. "
            "Set appendonly yes."
        )
    if settings.get("appendfsync") == "no":
        return (
            "appendfsync is no: what was acknowledged in the last half minute or so is lost when the server's machine dies. Set "
            "appendfsync everysec, or always."
        )
    if settings.get("appendfsync") == "everysec":
        return (
            "appendfsync is everysec: what was acknowledged in the last second may be lost when the server's machine dies, or "
            "its process while the disk is slow. Set appendfsync always if that can't be borne."
        )
    return None


def _judge_version(client: Any, place: str) -> None:
    said = _info(client, "server").get("redis_version", "")
    parts = said.split(".")[:2]
    if len(parts) == 2 and all(map(str.isdigit, parts)) and tuple(map(int, parts)) < _OLDEST:
        raise ConfigurationError(f"{place} is Redis {said}; perdure needs 6.2 or later: upgrade the server.")


def _read_settings(client: Any, place: str) -> Settings:
    try:
        return _configuration(client)
    except (NoPermissionError, ResponseError):
        pass
    memory, persistence = _info(client, "memory"), _info(client, "persistence")
    if not memory and not persistence:
        _log.info("%s says nothing about its settings: whether it evicts keys or keeps a log isn't known", place)
    else:
        _log.info("%s doesn't let CONFIG be read: how often its log is written to disk isn't known", place)
    appendonly = {"1": "yes", "0": "no"}.get(persistence.get("aof_enabled", ""))
    found = {
        "maxmemory": memory.get("maxmemory"),
        "maxmemory-policy": memory.get("maxmemory_policy"),
        "appendonly": appendonly,
    }
    return {name: value for name, value in found.items() if value is not None}


def _configuration(client: Any) -> Settings:
    found: dict[str, str] = {}
    for name in _ASKED:  # 6.2 takes one at a time
        said = client.config_get(name)
        found.update((_text(key), _text(value)) for key, value in said.items())
    return found


def _info(client: Any, section: str) -> dict[str, str]:
    try:
        return {name: _text(value) for name, value in client.info(section).items()}
    except (NoPermissionError, ResponseError):
        return {}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
