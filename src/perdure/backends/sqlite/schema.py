"""The tables, and how they come to be what this code needs.

`perdure_schema` has one row per migration that ran, with the oldest schema version whose *code* still serves the result
(expand first, contract a release later): older code is refused, newer code migrates.

What is worth knowing about the tables:

- Instance keys are ordered by time, so the primary key is the listing, newest last.
- `phase` (rows.py) says of an instance or an activity whether it waits to be claimed (1) or for a moment (2), an
  instance also whether its holder is to have it (3). It is derived from other columns and kept beside them for partial
  indexes, so that what merely exists costs nothing: a claim doesn't look at a million sleeping instances, nor sort
  100,000 queued ones.
- `ended_at` is indexed with its nulls: those are the running instances.
- `started` goes once it is history.
"""

from __future__ import annotations

import sqlite3

from perdure.clock import Micros
from perdure.errors import SchemaMismatch

Migration = tuple[str, ...]

_FIRST: Migration = (
    """create table perdure_instances (
        key integer primary key,
        instance_id text not null unique,
        execution_id blob not null,
        execution_number integer not null,
        began_at integer not null,
        workflow text not null,
        queue text not null,
        priority integer not null,
        version text,
        state integer not null,
        created_at integer not null,
        updated_at integer not null,
        ended_at integer,
        deadline_at integer,
        parent_id text,
        parent_execution blob,
        parent_number integer,
        parent_close text,
        request_id blob not null,
        digest blob not null,
        created_workflow text,
        created_digest blob,
        position integer not null,
        history_bytes integer not null,
        open_activities integer not null,
        children integer not null,
        pending_count integer not null,
        next_pending integer not null,
        wake_at integer,
        worker integer,
        token integer,
        claimed integer not null,
        suspended integer not null,
        stuck_reason text,
        stuck_attempts integer not null,
        lost integer not null,
        phase integer not null,
        tags text,
        outcome blob,
        started blob
    )""",
    "create index perdure_instances_ready on perdure_instances (queue, priority desc, key) where phase = 1",
    "create index perdure_instances_waiting on perdure_instances (queue, wake_at) where phase = 2",
    "create index perdure_instances_held on perdure_instances (worker, wake_at) where phase = 3",
    "create index perdure_instances_ended on perdure_instances (ended_at)",
    "create index perdure_instances_failed on perdure_instances (state) where state > 1",
    """create index perdure_instances_deadline on perdure_instances (deadline_at)
        where deadline_at is not null and ended_at is null""",
    "create index perdure_instances_parent on perdure_instances (parent_id) where parent_id is not null",
    """create table perdure_executions (
        instance_key integer not null,
        number integer not null,
        execution_id blob not null,
        state integer not null,
        started_at integer not null,
        ended_at integer not null,
        history_length integer not null,
        primary key (instance_key, number)
    ) without rowid""",
    """create table perdure_events (
        instance_key integer not null,
        execution_number integer not null,
        position integer not null,
        events blob not null,
        primary key (instance_key, execution_number, position)
    ) without rowid""",
    """create table perdure_pending (
        instance_key integer not null,
        id integer not null,
        event blob not null,
        primary key (instance_key, id)
    ) without rowid""",
    """create table perdure_activities (
        key integer primary key,
        instance_key integer not null,
        execution_number integer not null,
        number integer not null,
        name text not null,
        queue text not null,
        priority integer not null,
        scheduled_at integer not null,
        due_at integer not null,
        expires_at integer,
        worker integer,
        token integer,
        attempt integer not null,
        lost integer not null,
        cancel_requested integer not null,
        orphaned integer not null,
        limited integer not null,
        phase integer not null,
        last_failure blob,
        details blob,
        body blob not null
    )""",
    "create index perdure_activities_instance on perdure_activities (instance_key, number)",
    """create index perdure_activities_ready on perdure_activities (queue, priority desc, instance_key, number)
        where phase = 1""",
    "create index perdure_activities_waiting on perdure_activities (queue, due_at) where phase = 2",
    """create index perdure_activities_expiring on perdure_activities (expires_at)
        where expires_at is not null and worker is null""",
    "create index perdure_activities_limited on perdure_activities (queue) where limited = 1 and worker is not null",
    "create index perdure_activities_told on perdure_activities (worker) where cancel_requested = 1",
    """create table perdure_workers (
        key integer primary key,
        name text not null,
        machine text not null,
        lock_name text not null,
        start blob not null,
        started_at integer not null,
        heartbeat_at integer not null,
        lease integer not null,
        lease_until integer not null,
        is_alive integer not null
    )""",
    """create table perdure_receipts (
        instance_key integer not null,
        message_id blob not null,
        expires_at integer not null,
        primary key (instance_key, message_id)
    ) without rowid""",
    "create index perdure_receipts_expiry on perdure_receipts (expires_at)",
    """create table perdure_published (
        instance_key integer not null,
        name text not null,
        value blob not null,
        primary key (instance_key, name)
    ) without rowid""",
    """create table perdure_blobs (
        id blob primary key,
        instance_key integer not null,
        data blob not null
    )""",
    "create index perdure_blobs_instance on perdure_blobs (instance_key)",
    """create table perdure_questions (
        id blob primary key,
        instance_id text not null,
        request blob not null,
        expires_at integer not null,
        taken integer not null,
        reply blob
    )""",
    """create table perdure_settings (
        kind text not null,
        name text not null,
        value blob not null,
        primary key (kind, name)
    ) without rowid""",
    "create table perdure_buckets (queue text primary key, level real not null, at integer not null) without rowid",
    "create table perdure_seal (id integer primary key check (id = 1), target text not null)",
)

MIGRATIONS: tuple[tuple[Migration, int], ...] = ((_FIRST, 1),)
"""Statements of each version from 1 on, and the oldest version whose code serves the result."""

VERSION = len(MIGRATIONS)

_VERSIONS = """create table if not exists perdure_schema (
    version integer primary key, oldest_code integer not null, migrated_at integer not null)"""


def read_version(connection: sqlite3.Connection) -> tuple[int, int]:
    """The schema's version, and the oldest code's that it serves; zeros if there is none yet."""
    exists = connection.execute(
        "select 1 from sqlite_master where type = 'table' and name = 'perdure_schema'"
    ).fetchone()
    if not exists:
        return 0, 0
    row = connection.execute("select max(version), max(oldest_code) from perdure_schema").fetchone()
    return (row[0], row[1]) if row[0] is not None else (0, 0)


def is_current(connection: sqlite3.Connection, place: str, *, version: int = VERSION) -> bool:
    """Whether the schema has all that this code needs. Raises SchemaMismatch if it is too new for it."""
    found, oldest_code = read_version(connection)
    if oldest_code > version:
        raise SchemaMismatch(
            f"The schema in {place} has version {found} and serves code from schema version {oldest_code} on; this "
            f"perdure knows version {version}: upgrade perdure here, or point the URL at another file."
        )
    return found >= version


def migrate(
    connection: sqlite3.Connection, now: Micros, migrations: tuple[tuple[Migration, int], ...] = MIGRATIONS
) -> None:
    """Bring the schema up to date, inside the caller's write transaction: whoever comes second finds it done."""
    connection.execute(_VERSIONS)
    found, _ = read_version(connection)
    for version, (statements, oldest_code) in enumerate(migrations, start=1):
        if version > found:
            for statement in statements:
                connection.execute(statement)
            connection.execute("insert into perdure_schema values (?, ?, ?)", (version, oldest_code, now))


def outdated(connection: sqlite3.Connection, place: str) -> SchemaMismatch:
    """The schema is too old, and this backend was told not to migrate it."""
    found, _ = read_version(connection)
    what = f"has version {found} of perdure's schema" if found else "has no perdure schema yet"
    return SchemaMismatch(
        f"{place} {what}; this perdure needs version {VERSION}, and migrate=False was given: run `perdure migrate`, or "
        f"open it once without migrate=False."
    )
