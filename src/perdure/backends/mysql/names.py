"""Names of locks, which are one server's and not one database's."""

from __future__ import annotations

from zlib import crc32

from perdure.backends.mysql.address import Address
from perdure.backends.mysql.options import MysqlOptions


def lock_name(address: Address, options: MysqlOptions, purpose: str) -> str:
    """Of up to 64 characters."""
    store = f"{address.get('database')}/{options.prefix}"
    return f"perdure {crc32(store.encode()):08x} {purpose}"
