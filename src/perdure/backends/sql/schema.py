"""The tables of the SQL stores, and how they come to be what this code needs.

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
- `revision` is there where many write at once: drawn anew with each write, so that who has read a row knows whether it is
  still the same.

Types are fragments of a dialect: a {name} has up to 255 bytes and is compared as bytes, a {text} is of any length, an {id} has up
to 64 bytes, {data} is bytes of any length.
"""

from __future__ import annotations

import msgspec

from perdure.backends.sql.dialect import Dialect
from perdure.backends.sql.session import Session
from perdure.clock import Micros
from perdure.errors import SchemaMismatch


class Index(msgspec.Struct, frozen=True):
    """An index of some rows. A database that has indexes of all rows only has one of `whole`, or none if that is None."""

    table: str
    name: str
    columns: str
    only: str
    whole: str | None

    def text(self, dialect: Dialect) -> str | None:
        made = f"create index perdure_{self.table}_{self.name} on perdure_{self.table}"
        if dialect.has_partial_indexes:
            return f"{made} ({self.columns}) where {self.only}"
        return None if self.whole is None else f"{made} ({self.whole})"


Migration = tuple[str | Index, ...]
Origin = tuple[tuple[int, int], ...]

_FIRST: Migration = (
    """create table perdure_instances (
        key {int} primary key,
        instance_id {name} not null unique,
        execution_id {id} not null,
        execution_number {int} not null,
        began_at {int} not null,
        workflow {name} not null,
        queue {name} not null,
        priority {int} not null,
        version {name},
        state {int} not null,
        created_at {int} not null,
        updated_at {int} not null,
        ended_at {int},
        deadline_at {int},
        parent_id {name},
        parent_execution {id},
        parent_number {int},
        parent_close {name},
        request_id {id} not null,
        digest {id} not null,
        created_workflow {name},
        created_digest {id},
        position {int} not null,
        history_bytes {int} not null,
        open_activities {int} not null,
        children {int} not null,
        pending_count {int} not null,
        next_pending {int} not null,
        wake_at {int},
        worker {int},
        token {int},
        claimed {int} not null,
        suspended {int} not null,
        stuck_reason {text},
        stuck_attempts {int} not null,
        lost {int} not null,
        phase {int} not null,
        tags {text},
        outcome {data},
        started {data}{revision_column}
    )""",
    Index(
        "instances", "ready", "queue, priority desc, key", only="phase = 1", whole="phase, queue, priority desc, key"
    ),
    Index("instances", "waiting", "queue, wake_at", only="phase = 2", whole="phase, queue, wake_at"),
    Index("instances", "held", "worker, wake_at", only="phase = 3", whole="phase, worker, wake_at"),
    "create index perdure_instances_ended on perdure_instances (ended_at)",
    Index("instances", "failed", "state", only="state > 1", whole="state"),
    Index(
        "instances",
        "deadline",
        "deadline_at",
        only="deadline_at is not null and ended_at is null",
        whole="ended_at, deadline_at",
    ),
    Index("instances", "parent", "parent_id", only="parent_id is not null", whole="parent_id"),
    """create table perdure_executions (
        instance_key {int} not null,
        number {int} not null,
        execution_id {id} not null,
        state {int} not null,
        started_at {int} not null,
        ended_at {int} not null,
        history_length {int} not null,
        primary key (instance_key, number)
    ) {clustered}""",
    """create table perdure_events (
        instance_key {int} not null,
        execution_number {int} not null,
        position {int} not null,
        events {data} not null,
        primary key (instance_key, execution_number, position)
    ) {clustered}""",
    """create table perdure_pending (
        instance_key {int} not null,
        id {int} not null,
        event {data} not null,
        primary key (instance_key, id)
    ) {clustered}""",
    """create table perdure_activities (
        key {int} primary key,
        instance_key {int} not null,
        execution_number {int} not null,
        number {int} not null,
        name {name} not null,
        queue {name} not null,
        priority {int} not null,
        scheduled_at {int} not null,
        due_at {int} not null,
        expires_at {int},
        worker {int},
        token {int},
        attempt {int} not null,
        lost {int} not null,
        cancel_requested {int} not null,
        orphaned {int} not null,
        limited {int} not null,
        phase {int} not null,
        last_failure {data},
        details {data},
        body {data} not null{revision_column}
    )""",
    "create index perdure_activities_instance on perdure_activities (instance_key, number)",
    Index(
        "activities",
        "ready",
        "queue, priority desc, instance_key, number",
        only="phase = 1",
        whole="phase, queue, priority desc, instance_key, number",
    ),
    Index("activities", "waiting", "queue, due_at", only="phase = 2", whole="phase, queue, due_at"),
    Index(
        "activities",
        "expiring",
        "expires_at",
        only="expires_at is not null and worker is null",
        whole="worker, expires_at",
    ),
    Index("activities", "limited", "queue", only="limited = 1 and worker is not null", whole="limited, queue, worker"),
    Index(
        "activities", "told", "worker", only="cancel_requested = 1", whole=None
    ),  # few are of a worker: 'expiring' finds them
    """create table perdure_workers (
        key {int} primary key,
        name {name} not null,
        machine {name} not null,
        lock_name {name} not null,
        start {data} not null,
        started_at {int} not null,
        heartbeat_at {int} not null,
        lease {int} not null,
        lease_until {int} not null,
        is_alive {int} not null
    )""",
    """create table perdure_receipts (
        instance_key {int} not null,
        message_id {id} not null,
        expires_at {int} not null,
        primary key (instance_key, message_id)
    ) {clustered}""",
    "create index perdure_receipts_expiry on perdure_receipts (expires_at)",
    """create table perdure_published (
        instance_key {int} not null,
        name {name} not null,
        value {data} not null,
        primary key (instance_key, name)
    ) {clustered}""",
    """create table perdure_blobs (
        id {id} primary key,
        instance_key {int} not null,
        data {data} not null
    )""",
    "create index perdure_blobs_instance on perdure_blobs (instance_key)",
    """create table perdure_questions (
        id {id} primary key,
        instance_id {name} not null,
        request {data} not null,
        expires_at {int} not null,
        taken {int} not null,
        reply {data}
    )""",
    """create table perdure_settings (
        kind {name} not null,
        name {name} not null,
        value {data} not null,
        primary key (kind, name)
    ) {clustered}""",
    """create table perdure_buckets (
        queue {name} primary key,
        level {real} not null,
        at {int} not null{revision_column}
    ) {clustered}""",
    "create table perdure_seal (id {int} primary key check (id = 1), target {text} not null)",
)

_RETENTION: Migration = (
    "alter table perdure_instances add column retention {id}",
    "alter table perdure_instances add column remove_at {int}",
    Index("instances", "remove", "remove_at", only="remove_at is not null", whole="remove_at"),
)

MIGRATIONS: tuple[tuple[Migration, int], ...] = ((_FIRST, 1), (_RETENTION, 1))
"""Statements of each version from 1 on, and the oldest version whose code serves the result."""

VERSION = len(MIGRATIONS)

CREATE_VERSIONS = """create table if not exists perdure_schema (
    version {int} primary key, oldest_code {int} not null, migrated_at {int} not null)"""
_VERSIONS = "select max(version), max(oldest_code) from perdure_schema"
_ORIGIN = "select version, migrated_at from perdure_schema order by version"
_RECORD = "insert into perdure_schema values (?, ?, ?)"


def read_version(session: Session) -> tuple[int, int]:
    """The schema's version, and the oldest code's that it serves; zeros if there is none yet."""
    if not session.has_table("perdure_schema"):
        return 0, 0
    row = session.execute(_VERSIONS).fetchone()
    return (row[0], row[1]) if row[0] is not None else (0, 0)


def read_origin(session: Session) -> Origin:
    """When the schema got each of its versions: nothing else tells one store from another one."""
    return tuple(session.execute(_ORIGIN).fetchall())


def is_current(session: Session, place: str, *, version: int = VERSION) -> bool:
    """Whether the schema has all that this code needs. Raises SchemaMismatch if it is too new for it."""
    found, oldest_code = read_version(session)
    if oldest_code > version:
        raise SchemaMismatch(
            f"The schema in {place} has version {found} and serves code from schema version {oldest_code} on; this "
            f"perdure knows version {version}: upgrade perdure here, or point the URL at another store."
        )
    return found >= version


def migrate(session: Session, now: Micros, migrations: tuple[tuple[Migration, int], ...] = MIGRATIONS) -> None:
    """Bring the schema up to date, under a lock of the caller's: whoever comes second finds it done."""
    session.execute(CREATE_VERSIONS)
    found, _ = read_version(session)
    for version, (statements, oldest_code) in enumerate(migrations, start=1):
        if version > found:
            for statement in _texts(session.dialect, version, statements):
                session.execute(statement)
            session.execute(_RECORD, (version, oldest_code, now))


def _texts(dialect: Dialect, version: int, migration: Migration) -> list[str]:
    texts = (each.text(dialect) if isinstance(each, Index) else each for each in migration)
    return [*filter(None, texts), *(dialect.also if version == 1 else ())]


def as_text(dialect: Dialect, found: int = 0) -> str:
    """The statements that bring a schema of version `found` up to date, for those who apply migrations themselves."""
    made = [] if found else [CREATE_VERSIONS]
    for version, (statements, oldest_code) in enumerate(MIGRATIONS, start=1):
        if version > found:
            made += _texts(dialect, version, statements)
            made.append(f"insert into perdure_schema values ({version}, {oldest_code}, 0)")
    return "".join(f"{dialect.fill(statement)};\n" for statement in made)


def outdated(session: Session, place: str) -> SchemaMismatch:
    """The schema is too old, and this backend was told not to migrate it."""
    found, _ = read_version(session)
    what = f"has version {found} of perdure's schema" if found else "has no perdure schema yet"
    since = f" --from-version {found}" if found else ""
    return SchemaMismatch(
        f"{place} {what}; this perdure needs version {VERSION}, and migrate=False was given: run `perdure migrate`, or apply "
        f"what `perdure migrate --sql{since}` prints."
    )
