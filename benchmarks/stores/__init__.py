"""What the suite knows of each kind of store: how to have a fresh one, fill it, ask its settings, and take it away again."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.stores.kind import Kind
from benchmarks.stores.memory import Memory
from benchmarks.stores.mysql import Mysql
from benchmarks.stores.postgresql import Postgresql
from benchmarks.stores.redis import Redis
from benchmarks.stores.sqlite import Sqlite

__all__ = ["KINDS", "Kind", "is_in_memory", "kind_of"]


_ALL: tuple[Kind, ...] = (
    Sqlite(),
    Postgresql(),
    Mysql("mariadb"),
    Mysql("mysql"),
    Redis("redis", schemes=("redis", "rediss")),
    Redis("redis-cluster", schemes=("redis+cluster",)),
    Memory(),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""By name, in the order in which they run."""


def kind_of(url: str) -> Kind:
    """The kind of store that a URL means. Raises ValueError."""
    scheme = urlsplit(url).scheme
    for kind in _ALL:
        if scheme in kind.schemes and (kind.name == "memory") == is_in_memory(url):
            return kind
    raise ValueError(f"{url!r} is no store that is known here: {', '.join(KINDS)}")


def is_in_memory(url: str) -> bool:
    """Whether the store ends with its process, so that no other can look into it."""
    return url.startswith("memory:") or ":memory:" in url
