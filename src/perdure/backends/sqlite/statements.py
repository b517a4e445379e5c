"""Every statement of the hot half, as a constant: sqlite3 keeps a prepared statement for each text.

What a batch writes by the row is a Bulk (bulk.py). Valid on SQLite 3.35. Lists are passed as one JSON text, so that their length doesn't change the statement.
"""

from __future__ import annotations

from perdure.backends.sqlite import bulk
from perdure.backends.sqlite.rows import ACTIVITY_COLUMNS, INSTANCE_COLUMNS

I_COLUMNS = ", ".join(INSTANCE_COLUMNS)
A_COLUMNS = ", ".join(ACTIVITY_COLUMNS)

# --- instances

INSTANCE_BY_KEY = f"select {I_COLUMNS} from perdure_instances where key = ?"
INSTANCE_BY_ID = f"select {I_COLUMNS} from perdure_instances where instance_id = ?"
INSTANCES_BY_KEYS = f"select {I_COLUMNS} from perdure_instances where key in (select value from json_each(?))"
INSTANCES_BY_IDS = f"select {I_COLUMNS} from perdure_instances where instance_id in (select value from json_each(?))"
INSERT_INSTANCE = bulk.insert("perdure_instances", INSTANCE_COLUMNS)

# The hot statements are made for how sqlite3 binds values: None and bytes cost it 0.3 µs each, as much as a row's place
# in an index, for it looks for an adapter first; int, str and bytearray 0.05. Hence the nullif, -1 and '' being nobody's.
_NO_NUMBER, _NO_TEXT, _GIVEN = "nullif({}, -1)", "nullif({}, '')", "{}"
_LEASE = {
    "worker": _NO_NUMBER,
    "token": _NO_NUMBER,
    "claimed": _GIVEN,
    "wake_at": _NO_NUMBER,
    "phase": _GIVEN,
}
_STEP = {
    "updated_at": _GIVEN,
    "position": _GIVEN,
    "history_bytes": _GIVEN,
    "open_activities": _GIVEN,
    "pending_count": _GIVEN,
    "next_pending": _GIVEN,
}
_BIRTH = {
    "key": _GIVEN,
    "instance_id": _GIVEN,
    "execution_id": _GIVEN,
    "workflow": _GIVEN,
    "queue": _GIVEN,
    "priority": _GIVEN,
    "version": _NO_TEXT,
    "created_at": _GIVEN,
    "deadline_at": _NO_NUMBER,
    "request_id": _GIVEN,
    "digest": _GIVEN,
    "tags": _NO_TEXT,
    "began_at": _GIVEN,
}
_UNTOUCHED = {"execution_number": 1, "state": 0, "children": 0, "suspended": 0, "stuck_attempts": 0, "lost": 0}
_UNSTEPPED = {"position": 0, "history_bytes": 0, "open_activities": 0, "pending_count": 0, "next_pending": 1}

INSERT_FRESH = bulk.insert(
    "perdure_instances",
    {**_BIRTH, "wake_at": _GIVEN, "phase": _GIVEN, "started": _GIVEN, "updated_at": _GIVEN},
    {**_UNTOUCHED, **_UNSTEPPED, "claimed": 0},
)
"""A new one without a parent, to which nothing has happened yet."""

INSERT_BEGUN = bulk.insert("perdure_instances", {**_BIRTH, **_LEASE, **_STEP}, _UNTOUCHED)
"""A new one without a parent, which has taken its first step and waits."""

LEASE_COLUMNS = tuple(_LEASE)
STEP_COLUMNS = (*_LEASE, *_STEP)
OTHER_COLUMNS = tuple(
    column
    for column in INSTANCE_COLUMNS
    if column not in {*STEP_COLUMNS, "key", "instance_id", "queue", "priority", "deadline_at", "request_id", "tags"}
    and not column.startswith("parent_")
)

UPDATE_LEASE = bulk.update("perdure_instances", _LEASE)
UPDATE_STEP = bulk.update("perdure_instances", {**_LEASE, **_STEP})
UPDATE_BEGUN = bulk.update("perdure_instances", {**_LEASE, **_STEP}, ", started = null")
UPDATE_ENDED = bulk.update(
    "perdure_instances",
    {**_STEP, "state": _GIVEN, "ended_at": _GIVEN, "outcome": _GIVEN},
    ", worker = null, token = null, claimed = 0, wake_at = null, phase = 0, suspended = 0, stuck_reason = null",
)
UPDATE_RESHAPED = bulk.update("perdure_instances", (*STEP_COLUMNS, *OTHER_COLUMNS))

READY_INSTANCES = """select -priority, key from perdure_instances
    where phase = 1 and queue = ? and workflow in (select value from json_each(?))
        and (? is null or version in (select value from json_each(?)))
    order by priority desc, key limit ?"""
HELD_INSTANCES = """select -priority, key from perdure_instances
    where phase = 3 and worker = ? and wake_at <= ? order by priority desc, key limit ?"""
PROMOTE_INSTANCES = "update perdure_instances set phase = 1 where phase = 2 and queue = ? and wake_at <= ?"
IS_INSTANCE_DUE = "select 1 from perdure_instances where phase = 2 and queue = ? and wake_at <= ? limit 1"
DO_INSTANCES_WAIT = """select exists (select 1 from perdure_instances where phase = 2 and queue = ? and wake_at <= ?),
    exists (select 1 from perdure_instances where phase = 1 and queue = ?)"""
"""Whether the moment of any has come, and whether any is ready: mostly none, and then no more is asked."""
NEXT_INSTANCE_DUE = """select wake_at from perdure_instances
    where phase = 2 and queue = ? and wake_at > ? and workflow in (select value from json_each(?))
        and (? is null or version in (select value from json_each(?)))
    order by wake_at limit 1"""
NEXT_HELD_DUE = """select wake_at from perdure_instances
    where phase = 3 and worker = ? and wake_at > ? order by wake_at limit 1"""

CLAIMED_OF_WORKER = "select key from perdure_instances where ended_at is null and worker = ? and claimed = 1"
QUEUES_HELD = """select queue, min(wake_at) from perdure_instances
    where ended_at is null and worker = ? and wake_at is not null and suspended = 0 group by queue"""
RELEASE_INSTANCES = """update perdure_instances set worker = null, token = null, claimed = 0,
        phase = case when suspended = 1 or wake_at is null then 0 when wake_at <= :now then 1 else 2 end
    where ended_at is null and worker = :worker"""
# The planner would look at all running instances instead.
INSTANCES_PAST_DEADLINE = """select key from perdure_instances indexed by perdure_instances_deadline
    where deadline_at is not null and ended_at is null and deadline_at <= ? order by deadline_at limit ?"""
RUNNING_CHILDREN = """select key from perdure_instances
    where parent_id = ? and parent_execution = ? and ended_at is null order by key"""

# --- executions, events, pending events

INSERT_EXECUTION = bulk.insert(
    "perdure_executions",
    ("instance_key", "number", "execution_id", "state", "started_at", "ended_at", "history_length"),
)
INSERT_EVENTS = bulk.insert("perdure_events", ("instance_key", "execution_number", "position", "events"))
PENDING_OF = "select id, event from perdure_pending where instance_key = ? order by id"
INSERT_PENDING = bulk.insert("perdure_pending", ("instance_key", "id", "event"))
CLEAR_PENDING = "delete from perdure_pending where instance_key = ?"
DELETE_PENDING = bulk.Bulk(
    "delete from perdure_pending where (instance_key, id) in (select column1, column2 from (values {}))", 2
)

# --- activities

ACTIVITY_BY_KEY = f"select {A_COLUMNS} from perdure_activities where key = ?"
ACTIVITIES_BY_KEYS = f"select {A_COLUMNS} from perdure_activities where key in (select value from json_each(?))"
ACTIVITIES_OF = f"select {A_COLUMNS} from perdure_activities where instance_key = ? order by number"
INSERT_ACTIVITY = bulk.insert("perdure_activities", ACTIVITY_COLUMNS)
INSERT_FRESH_ACTIVITY = bulk.insert(
    "perdure_activities",
    {
        "key": _GIVEN,
        "instance_key": _GIVEN,
        "execution_number": _GIVEN,
        "number": _GIVEN,
        "name": _GIVEN,
        "queue": _GIVEN,
        "priority": _GIVEN,
        "scheduled_at": _GIVEN,
        "due_at": _GIVEN,
        "expires_at": _NO_NUMBER,
        "worker": _NO_NUMBER,
        "token": _NO_NUMBER,
        "limited": _GIVEN,
        "phase": _GIVEN,
        "body": _GIVEN,
    },
    {"attempt": 1, "lost": 0, "cancel_requested": 0, "orphaned": 0},
)
"""A new one whose first attempt has had no end."""

ATTEMPT_COLUMNS = (
    "due_at",
    "expires_at",
    "worker",
    "token",
    "attempt",
    "lost",
    "cancel_requested",
    "orphaned",
    "phase",
    "last_failure",
    "details",
)
"""What an attempt changes."""

UPDATE_ACTIVITY = bulk.update("perdure_activities", ATTEMPT_COLUMNS)
DELETE_ACTIVITY = bulk.Bulk("delete from perdure_activities where key in (values {})", 1)

READY_ACTIVITIES = """select -priority, instance_key, number, key from perdure_activities
    where phase = 1 and queue = ? and name in (select value from json_each(?))
    order by priority desc, instance_key, number limit ?"""
PROMOTE_ACTIVITIES = "update perdure_activities set phase = 1 where phase = 2 and queue = ? and due_at <= ?"
IS_ACTIVITY_DUE = "select 1 from perdure_activities where phase = 2 and queue = ? and due_at <= ? limit 1"
DO_ACTIVITIES_WAIT = """select exists (select 1 from perdure_activities where phase = 2 and queue = ? and due_at <= ?),
    exists (select 1 from perdure_activities where phase = 1 and queue = ?)"""
NEXT_ACTIVITY_DUE = """select due_at from perdure_activities
    where phase = 2 and queue = ? and due_at > ? and name in (select value from json_each(?)) order by due_at limit 1"""
TOLD_ACTIVITIES = "select key, token from perdure_activities where cancel_requested = 1 and worker = ?"
RUNNING_ACTIVITIES = "select count(*) from perdure_activities where limited = 1 and worker is not null and queue = ?"
ACTIVITIES_OF_WORKER = "select key from perdure_activities where worker = ?"
ACTIVITIES_EXPIRED = """select key from perdure_activities
    where expires_at is not null and worker is null and expires_at <= ? order by expires_at limit ?"""

# --- the rest

PUBLISH = bulk.insert("perdure_published", ("instance_key", "name", "value"), how="or replace")
RECEIPT = "select expires_at from perdure_receipts where instance_key = ? and message_id = ?"
INSERT_RECEIPT = bulk.insert("perdure_receipts", ("instance_key", "message_id", "expires_at"), how="or replace")
FORGET_RECEIPTS = "delete from perdure_receipts where expires_at <= ?"

SEAL_TARGET = "select target from perdure_seal"
QUEUE_LIMITS = "select name, value from perdure_settings where kind = 'queue'"
BUCKET = "select level, at from perdure_buckets where queue = ?"
PUT_BUCKET = """insert into perdure_buckets values (?, ?, ?)
    on conflict (queue) do update set level = excluded.level, at = excluded.at"""

# --- workers and questions

INSERT_WORKER = "insert into perdure_workers values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
BEAT = """update perdure_workers set heartbeat_at = :now, lease_until = max(lease_until, :now + lease)
    where key = :key and is_alive = 1"""
DELETE_WORKER = "delete from perdure_workers where key = ?"
LAPSED_WORKERS = "select key from perdure_workers where is_alive = 1 and lease_until <= ?"
LOCKS_OF_MACHINE = "select key, lock_name from perdure_workers where is_alive = 1 and machine = ?"
MARK_WORKER_DEAD = "update perdure_workers set is_alive = 0, lease_until = min(lease_until, ?) where key = ?"
FORGET_WORKERS = "delete from perdure_workers where is_alive = 0 and lease_until <= ?"

INSERT_QUESTION = "insert into perdure_questions values (?, ?, ?, ?, 0, null)"
QUESTIONS_FOR = """select q.id, q.instance_id, q.request
    from perdure_questions q join perdure_instances i on i.instance_id = q.instance_id
    where q.taken = 0 and i.worker = ?"""
TAKE_QUESTION = "update perdure_questions set taken = 1 where id = ?"
ANSWER_QUESTION = "update perdure_questions set reply = ? where id = ? and reply is null"
DELETE_QUESTION = "delete from perdure_questions where id = ?"
FORGET_QUESTIONS = "delete from perdure_questions where expires_at <= ?"

# --- settings, blobs, the seal

PUT_SETTING = """insert into perdure_settings values (?, ?, ?)
    on conflict (kind, name) do update set value = excluded.value"""
DELETE_SETTING = "delete from perdure_settings where kind = ? and name = ?"
LIMIT_ACTIVITIES = "update perdure_activities set limited = ? where queue = ?"
DELETE_BUCKET = "delete from perdure_buckets where queue = ?"
PUT_BLOB = "insert or ignore into perdure_blobs values (?, ?, ?)"
SEAL = "insert into perdure_seal values (1, ?) on conflict (id) do update set target = excluded.target"
UNSEAL = "delete from perdure_seal"
ALL_WORKERS = "select key from perdure_workers"

LIVE_WORKER = "select start from perdure_workers where key = ? and is_alive = 1"

REMOVE_INSTANCE = tuple(
    f"delete from perdure_{table} where {column} = ?"
    for table, column in (
        ("instances", "key"),
        ("executions", "instance_key"),
        ("events", "instance_key"),
        ("pending", "instance_key"),
        ("activities", "instance_key"),
        ("receipts", "instance_key"),
        ("published", "instance_key"),
        ("blobs", "instance_key"),
    )
)
"""Each takes the instance's key."""
