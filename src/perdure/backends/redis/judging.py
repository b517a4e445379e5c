"""What the server promises: whether it may lose what it has acknowledged, judged when a store is opened (STORES.md B9)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from redis.exceptions import NoPermissionError, ResponseError

from perdure.backends.redis.scripts import Client
from perdure.errors import ConfigurationError

_log = logging.getLogger("perdure.store")

_OLDEST = (6, 2)
_ASKED = ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync")

Settings = Mapping[str, str]


def judge(client: Client, place: str) -> None:
    """Refuse a server that forgets by design, warn about one that may. Raises ConfigurationError."""
    _judge_version(client, place)
    settings = _read_settings(client, place)
    if settings.get("maxmemory", "0") != "0" and settings.get("maxmemory-policy", "noeviction") != "noeviction":
        raise ConfigurationError(
            f"{place} evicts keys when its memory is full (maxmemory-policy {settings['maxmemory-policy']}): workflows would "
            f"vanish. Set maxmemory-policy noeviction there, or use a server that is no cache."
        )
    what = _what_can_be_lost(settings)
    if what is not None:
        _log.warning("%s: %s", place, what)


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
            "appendfsync is everysec: what was acknowledged in the last second may be lost when the server's machine dies (not "
            "when its process does). Set appendfsync always if that can't be borne."
        )
    return None


def _judge_version(client: Client, place: str) -> None:
    said = _info(client, "server").get("redis_version", "")
    parts = said.split(".")[:2]
    if len(parts) == 2 and all(map(str.isdigit, parts)) and tuple(map(int, parts)) < _OLDEST:
        raise ConfigurationError(f"{place} is Redis {said}; perdure needs 6.2 or later: upgrade the server.")


def _read_settings(client: Client, place: str) -> Settings:
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


def _configuration(client: Client) -> Settings:
    found: dict[str, str] = {}
    for name in _ASKED:  # 6.2 takes one at a time
        said = client.config_get(name)
        found.update((_text(key), _text(value)) for key, value in said.items())
    return found


def _info(client: Client, section: str) -> dict[str, str]:
    try:
        return {name: _text(value) for name, value in client.info(section).items()}
    except (NoPermissionError, ResponseError):
        return {}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
