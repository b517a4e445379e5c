"""Every statement of the hot half, as a constant: sqlite3 keeps a prepared statement for each text.

Valid on SQLite 3.35. Lists are passed as one JSON text, so that their length doesn't change the statement.
"""

from __future__ import annotations

from perdure.backends.sqlite.rows import ACTIVITY_COLUMNS, INSTANCE_COLUMNS

I_COLUMNS = ", ".join(INSTANCE_COLUMNS)
A_COLUMNS = ", ".join(ACTIVITY_COLUMNS)


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"


def _update(table: str, columns: tuple[str, ...]) -> str:
    return f"update {table} set {', '.join(f'{column} = ?' for column in columns)} where key = ?"


# --- instances

INSTANCE_BY_KEY = f"select {I_COLUMNS} from perdure_instances where key = ?"
INSTANCE_BY_ID = f"select {I_COLUMNS} from perdure_instances where instance_id = ?"
INSTANCES_BY_KEYS = f"select {I_COLUMNS} from perdure_instances where key in (select value from json_each(?))"
INSTANCES_BY_IDS = f"select {I_COLUMNS} from perdure_instances where instance_id in (select value from json_each(?))"
INSERT_INSTANCE = _insert("perdure_instances", INSTANCE_COLUMNS)
INSERT_FRESH = """insert into perdure_instances (
        key, instance_id, execution_id, workflow, queue, priority, version, created_at, deadline_at, request_id, digest,
        wake_at, phase, tags, started,
        began_at, updated_at, execution_number, state, position, history_bytes, open_activities, children,
        pending_count, next_pending, claimed, suspended, stuck_attempts, lost
    ) values (?, ?, ?, ?, ?, ?, nullif(?, ''), ?, nullif(?, -1), ?, ?, ?, ?, nullif(?, ''), ?,
        ?, ?, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)"""
"""A new one without a parent, to which nothing has happened yet."""

# The hot statements are made for how sqlite3 binds values: None and bytes cost it 0.3 µs each, as much as a row's place
# in an index, for it looks for an adapter first; int, str and bytearray 0.05. Hence the nullif, -1 and '' being nobody's.
LEASE_COLUMNS = ("worker", "token", "claimed", "wake_at", "phase")
STEP_COLUMNS = (
    *LEASE_COLUMNS,
    "updated_at",
    "position",
    "history_bytes",
    "open_activities",
    "pending_count",
    "next_pending",
)
OTHER_COLUMNS = tuple(
    column
    for column in INSTANCE_COLUMNS
    if column not in {*STEP_COLUMNS, "key", "instance_id", "queue", "priority", "deadline_at", "request_id", "tags"}
    and not column.startswith("parent_")
)

_LEASE = "worker = nullif(?, -1), token = nullif(?, -1), claimed = ?, wake_at = nullif(?, -1), phase = ?"
_STEP = """updated_at = ?, position = ?, history_bytes = ?, open_activities = ?, pending_count = ?, next_pending = ?"""

UPDATE_LEASE = f"update perdure_instances set {_LEASE} where key = ?"
UPDATE_STEP = f"update perdure_instances set {_LEASE}, {_STEP} where key = ?"
UPDATE_BEGUN = f"update perdure_instances set {_LEASE}, {_STEP}, started = null where key = ?"
UPDATE_ENDED = f"""update perdure_instances set {_STEP}, state = ?, ended_at = ?, outcome = ?,
    worker = null, token = null, claimed = 0, wake_at = null, phase = 0, suspended = 0, stuck_reason = null
    where key = ?"""
UPDATE_RESHAPED = _update("perdure_instances", (*STEP_COLUMNS, *OTHER_COLUMNS))

READY_INSTANCES = """select -priority, key from perdure_instances
    where phase = 1 and queue = ? and workflow in (select value from json_each(?))
        and (? is null or version in (select value from json_each(?)))
    order by priority desc, key limit ?"""
HELD_INSTANCES = """select -priority, key from perdure_instances
    where phase = 3 and worker = ? and wake_at <= ? order by priority desc, key limit ?"""
PROMOTE_INSTANCES = "update perdure_instances set phase = 1 where phase = 2 and queue = ? and wake_at <= ?"
IS_INSTANCE_DUE = "select 1 from perdure_instances where phase = 2 and queue = ? and wake_at <= ? limit 1"
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

INSERT_EXECUTION = "insert into perdure_executions values (?, ?, ?, ?, ?, ?, ?)"
INSERT_EVENTS = "insert into perdure_events values (?, ?, ?, ?)"
PENDING_OF = "select id, event from perdure_pending where instance_key = ? order by id"
INSERT_PENDING = "insert into perdure_pending values (?, ?, ?)"
CLEAR_PENDING = "delete from perdure_pending where instance_key = ?"
DELETE_PENDING = "delete from perdure_pending where instance_key = ? and id = ?"

# --- activities

ACTIVITY_BY_KEY = f"select {A_COLUMNS} from perdure_activities where key = ?"
ACTIVITIES_BY_KEYS = f"select {A_COLUMNS} from perdure_activities where key in (select value from json_each(?))"
ACTIVITIES_OF = f"select {A_COLUMNS} from perdure_activities where instance_key = ? order by number"
INSERT_ACTIVITY = _insert("perdure_activities", ACTIVITY_COLUMNS)
INSERT_FRESH_ACTIVITY = """insert into perdure_activities (
        key, instance_key, execution_number, number, name, queue, priority, scheduled_at, expires_at, worker, token,
        limited, phase, body, due_at, attempt, lost, cancel_requested, orphaned
    ) values (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, -1), nullif(?, -1), nullif(?, -1), ?, ?, ?,
        ?, 1, 0, 0, 0)"""
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

UPDATE_ACTIVITY = _update("perdure_activities", ATTEMPT_COLUMNS)
DELETE_ACTIVITY = "delete from perdure_activities where key = ?"

READY_ACTIVITIES = """select -priority, instance_key, number, key from perdure_activities
    where phase = 1 and queue = ? and name in (select value from json_each(?))
    order by priority desc, instance_key, number limit ?"""
PROMOTE_ACTIVITIES = "update perdure_activities set phase = 1 where phase = 2 and queue = ? and due_at <= ?"
IS_ACTIVITY_DUE = "select 1 from perdure_activities where phase = 2 and queue = ? and due_at <= ? limit 1"
NEXT_ACTIVITY_DUE = """select due_at from perdure_activities
    where phase = 2 and queue = ? and due_at > ? and name in (select value from json_each(?)) order by due_at limit 1"""
TOLD_ACTIVITIES = "select key, token from perdure_activities where cancel_requested = 1 and worker = ?"
RUNNING_ACTIVITIES = "select count(*) from perdure_activities where limited = 1 and worker is not null and queue = ?"
ACTIVITIES_OF_WORKER = "select key from perdure_activities where worker = ?"
ACTIVITIES_EXPIRED = """select key from perdure_activities
    where expires_at is not null and worker is null and expires_at <= ? order by expires_at limit ?"""

# --- the rest

PUBLISH = """insert into perdure_published values (?, ?, ?)
    on conflict (instance_key, name) do update set value = excluded.value"""
RECEIPT = "select expires_at from perdure_receipts where instance_key = ? and message_id = ?"
INSERT_RECEIPT = "insert or replace into perdure_receipts values (?, ?, ?)"
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
