"""What the server's settings mean for what is acknowledged: read once, when a store is opened."""

from __future__ import annotations

import logging
import re

from perdure.backends.mysql.session import MysqlSession
from perdure.errors import StoreReadOnly, StoreUsageError

_log = logging.getLogger("perdure.store")

OLDEST_MYSQL = (8, 0, 19)
OLDEST_MARIADB = (10, 6, 0)

_SETTINGS = """select lower(variable_name), variable_value from {} where lower(variable_name) in ('version', 'read_only',
    'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog', 'binlog_format', 'max_allowed_packet')"""
_LARGE_PACKET = 16 * 1024 * 1024
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def judge(session: MysqlSession, place: str) -> None:
    """Refuse a server that can't be used, warn of one that may lose what it acknowledges. Raises StoreError."""
    table = "information_schema.global_variables" if session.is_mariadb else "performance_schema.global_variables"
    settings: dict[str, str] = dict(session.execute(_SETTINGS.format(table)).fetchall())
    _judge_version(settings["version"], place, is_mariadb=session.is_mariadb)
    if settings["read_only"] != "OFF":
        raise StoreReadOnly(f"{place} can't be written: it is a replica, or read-only.")
    if settings["log_bin"] == "ON" and settings.get("binlog_format") == "STATEMENT":
        raise StoreUsageError(
            f"{place} has binlog_format = STATEMENT, with which it refuses transactions that read what is committed: set "
            f"binlog_format = ROW."
        )
    for risk in risks(settings):
        _log.warning("the settings of %s put work at risk: %s", place, risk)


def _judge_version(said: str, place: str, *, is_mariadb: bool) -> None:
    found = _VERSION.search(said)
    title, oldest = ("MariaDB", OLDEST_MARIADB) if is_mariadb else ("MySQL", OLDEST_MYSQL)
    if found is None or tuple(map(int, found.groups())) < oldest:
        needed = ".".join(map(str, oldest))
        raise StoreUsageError(f"{place} is {title} {said}; perdure needs version {needed} or newer.")


def risks(settings: dict[str, str]) -> list[str]:
    """What may get lost, or be refused, for how the server is set."""
    found: list[str] = []
    if settings["innodb_flush_log_at_trx_commit"] != "1":
        found.append(
            "innodb_flush_log_at_trx_commit isn't 1: a crash of the host, or with 0 of the server, may lose what was acknowledged "
            "in its last second; set innodb_flush_log_at_trx_commit = 1"
        )
    if settings["log_bin"] == "ON" and settings["sync_binlog"] != "1":
        found.append(
            "sync_binlog isn't 1: after a crash of the host, replicas may lack what was acknowledged in its last moments; set "
            "sync_binlog = 1"
        )
    if settings.get("innodb_doublewrite") == "OFF":
        found.append("innodb_doublewrite is off: a crash of the host may damage pages; set innodb_doublewrite = ON")
    if int(settings["max_allowed_packet"]) < _LARGE_PACKET:
        found.append(
            f"max_allowed_packet is {settings['max_allowed_packet']} bytes: larger payloads are refused; set it to 16M or more"
        )
    return found
