"""What the server's settings mean for what is acknowledged: read once, when a store is opened."""

from __future__ import annotations

import logging

from perdure.backends.postgres.session import PostgresSession
from perdure.errors import StoreReadOnly, StoreUsageError

_log = logging.getLogger("perdure.store")

OLDEST_VERSION = 130_000

_SETTINGS = """select name, setting from pg_settings
    where name in ('server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit', 'transaction_read_only')"""
_OTHERS = "select pg_is_in_recovery(), current_setting('server_encoding')"

_AT_RISK = {
    "fsync": "a crash of the host may lose or damage everything, acknowledged or not: set fsync = on",
    "full_page_writes": "a crash of the host may damage pages: set full_page_writes = on",
    "synchronous_commit": "a crash of the server may lose what was acknowledged in its last moments (up to three times "
    "wal_writer_delay): set synchronous_commit = on, for this user or database if not for all",
}


def judge(session: PostgresSession, place: str) -> None:
    """Refuse a server that can't be used, warn of one that may lose what it acknowledges. Raises StoreError."""
    settings: dict[str, str] = dict(session.execute(_SETTINGS).fetchall())
    version = int(settings["server_version_num"])
    if version < OLDEST_VERSION:
        raise StoreUsageError(f"{place} is PostgreSQL {version // 10_000}; perdure needs version 13 or newer.")
    is_replica, encoding = session.execute(_OTHERS).fetchone()
    if is_replica or settings["transaction_read_only"] == "on":
        raise StoreReadOnly(f"{place} can't be written: it is a replica, or its transactions are read-only.")
    if encoding != "UTF8":
        raise StoreUsageError(f"{place} keeps text as {encoding}: perdure needs a database with the encoding UTF8.")
    for name, risk in _AT_RISK.items():
        if settings.get(name) == "off":
            _log.warning("the settings of %s put work at risk: %s", place, f"{name} is off: {risk}")
