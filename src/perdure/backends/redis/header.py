"""The store's own key: whether there is a store yet, of which version, in how many partitions."""

from __future__ import annotations

from typing import Any

import msgspec

from perdure.backends.redis.buffer import as_dict
from perdure.backends.redis.keys import Keys
from perdure.backends.redis.scripts import Client, Script
from perdure.errors import ConfigurationError, SchemaMismatch

VERSION = 1
"""Of the keys and what they hold."""
OLDEST_CODE = 1
"""The oldest version whose code still serves a store of this one."""

# Whoever comes first writes it; it says the same to those who come at the same moment.
_CREATE = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV))
end
return redis.call('HGETALL', KEYS[1])
""")


class Header(msgspec.Struct, frozen=True):
    """What it says."""

    version: int
    oldest_code: int
    partitions: int


def read_header(client: Client, keys: Keys) -> Header | None:
    """None if there is no store yet."""
    return _header(client.execute_command("HGETALL", keys.header))


def create_header(client: Client, keys: Keys, partitions: int) -> Header:
    """The one that is there from now on."""
    values: dict[str, object] = {
        "version": VERSION,
        "oldest_code": OLDEST_CODE,
        "partitions": partitions,
        "generation": 0,
    }
    found = _header(_CREATE.run(client, [keys.header], [part for pair in values.items() for part in pair]))
    assert found is not None
    return found


def partitions_of(found: Header, wanted: int | None, place: str) -> int:
    """How many there are. Raises ConfigurationError if others are asked for."""
    if wanted not in {None, found.partitions}:
        raise ConfigurationError(
            f"{place}: the store there was created with {found.partitions} partitions, which can't be changed, and "
            f"partitions={wanted} was given: leave it out; or create another one by another prefix, and `perdure copy` it."
        )
    return found.partitions


def check(found: Header | None, place: str, *, migrate: bool) -> None:
    """Whether this code may serve it. Raises SchemaMismatch."""
    if found is None:
        if not migrate:
            raise SchemaMismatch(
                f"{place} has no perdure store yet, and migrate=False was given: run `perdure migrate`, or open it once "
                f"without migrate=False."
            )
    elif found.oldest_code > VERSION:
        raise SchemaMismatch(
            f"The store in {place} has version {found.version} and serves code from version {found.oldest_code} on; this "
            f"perdure knows version {VERSION}: upgrade perdure here, or give another prefix."
        )


def _header(found: Any) -> Header | None:
    values = as_dict(found)
    if not values:
        return None
    return Header(*(int(values[name.encode()]) for name in Header.__struct_fields__))
