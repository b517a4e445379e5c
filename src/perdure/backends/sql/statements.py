"""Every statement that the SQL stores share, as a template (dialect.py): named here, text of a database in its Session.

What a batch writes by the row isn't here: each database has its own best way for that.
"""

from __future__ import annotations

from functools import cache

from perdure.backends.rows import ACTIVITY_COLUMNS, INSTANCE_COLUMNS

I_COLUMNS = ", ".join(INSTANCE_COLUMNS)
A_COLUMNS = ", ".join(ACTIVITY_COLUMNS)

LEASE_COLUMNS = ("worker", "token", "claimed", "wake_at", "phase")
"""What a lease changes of an instance."""

STEP_COLUMNS = (
    *LEASE_COLUMNS,
    "updated_at",
    "position",
    "history_bytes",
    "open_activities",
    "pending_count",
    "next_pending",
)
"""What a workflow step changes."""

OTHER_COLUMNS = tuple(
    column
    for column in INSTANCE_COLUMNS
    if column
    not in {*STEP_COLUMNS, "key", "instance_id", "queue", "priority", "deadline_at", "request_id", "tags", "retention"}
    and not column.startswith("parent_")
)
"""What else of an instance may change."""

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
"""What an attempt changes of an activity."""

# --- instances

INSTANCE_BY_KEY = f"select {I_COLUMNS}{{revision}} from perdure_instances where key = ?"
INSTANCE_BY_ID = f"select {I_COLUMNS}{{revision}} from perdure_instances where instance_id = ?"
INSTANCES_BY_KEYS = f"select {I_COLUMNS}{{revision}} from perdure_instances where key {{one_of_keys}}"
INSTANCES_BY_IDS = f"select {I_COLUMNS}{{revision}} from perdure_instances where instance_id {{one_of_texts}}"

READY_INSTANCES = """select -priority, key from perdure_instances
    where phase = 1 and queue = ? and workflow {one_of_texts} and {of_versions}
    order by priority desc, key limit ?"""
CLAIMABLE_INSTANCES = READY_INSTANCES + "{skip_locked}"
HELD_INSTANCES = """select -priority, key from perdure_instances
    where phase = 3 and worker = ? and wake_at >= ? and wake_at <= ? order by priority desc, key limit ?"""
PROMOTE_INSTANCES = """update perdure_instances set phase = 1
    where phase = 2 and queue = ? and wake_at >= ? and wake_at <= ?"""
LINE_OF_INSTANCES = """select
    (select wake_at as at from perdure_instances where phase = 1 and queue = ? and wake_at >= ?{oldest_first} limit 1),
    (select min(wake_at) from perdure_instances where phase = 2 and queue = ? and wake_at >= ?)"""
"""When one became ready, and when the moment of the next comes: mostly there is none, and then no more is asked."""
DO_INSTANCES_WAIT = """exists (select 1 from perdure_instances where phase = 1 and queue = ? and wake_at >= ?)
    or exists (select 1 from perdure_instances where phase = 2 and queue = ? and wake_at >= ? and wake_at <= ?)"""
"""A condition."""

CLAIMED_OF_WORKER = "select key from perdure_instances where ended_at is null and worker = ? and claimed = 1"
QUEUES_HELD = """select queue, min(wake_at) from perdure_instances
    where ended_at is null and worker = ? and wake_at is not null and suspended = 0 group by queue"""
RELEASE_INSTANCES = """update perdure_instances set worker = null, token = null, claimed = 0,
        phase = case when suspended = 1 or wake_at is null then 0 when wake_at <= ? then 1 else 2 end,
        wake_at = case when wake_at < ? then ? else wake_at end{revised}
    where ended_at is null and worker = ?"""
INSTANCES_PAST_DEADLINE = """select key from perdure_instances {by_deadline}
    where deadline_at is not null and ended_at is null and deadline_at <= ? order by deadline_at limit ?"""
RUNNING_CHILDREN = """select key from perdure_instances
    where parent_id = ? and parent_execution = ? and ended_at is null order by key"""

# --- executions, events, pending events

PENDING_OF = "select id, event from perdure_pending where instance_key = ? order by id"
IS_PAST_EXECUTION = "select 1 from perdure_executions where instance_key = ? and execution_id = ?"
COUNT_CHILDREN = "select count(*) from perdure_instances where parent_id = ? and parent_execution = ?"

# --- activities

ACTIVITY_BY_KEY = f"select {A_COLUMNS}{{revision}} from perdure_activities where key = ?"
ACTIVITIES_BY_KEYS = f"select {A_COLUMNS}{{revision}} from perdure_activities where key {{one_of_keys}}"
ACTIVITIES_OF = f"select {A_COLUMNS}{{revision}} from perdure_activities where instance_key = ? order by number"
READY_ACTIVITIES = """select -priority, instance_key, number, key from perdure_activities
    where phase = 1 and queue = ? and name {one_of_texts}
    order by priority desc, instance_key, number limit ?"""
CLAIMABLE_ACTIVITIES = READY_ACTIVITIES + "{skip_locked}"
PROMOTE_ACTIVITIES = """update perdure_activities set phase = 1
    where phase = 2 and queue = ? and due_at >= ? and due_at <= ?"""
LINE_OF_ACTIVITIES = """select
    (select due_at as at from perdure_activities where phase = 1 and queue = ? and due_at >= ?{oldest_first} limit 1),
    (select min(due_at) from perdure_activities where phase = 2 and queue = ? and due_at >= ?)"""
DO_ACTIVITIES_WAIT = """exists (select 1 from perdure_activities where phase = 1 and queue = ? and due_at >= ?)
    or exists (select 1 from perdure_activities where phase = 2 and queue = ? and due_at >= ? and due_at <= ?)"""
RUNNING_ACTIVITIES = "select count(*) from perdure_activities where limited = 1 and worker is not null and queue = ?"
ACTIVITIES_OF_WORKER = "select key from perdure_activities where worker = ?"
ACTIVITIES_EXPIRED = """select key from perdure_activities
    where expires_at is not null and worker is null and expires_at <= ? order by expires_at limit ?"""

# --- the rest

RECEIPT = "select expires_at from perdure_receipts where instance_key = ? and message_id = ?"
FORGET_RECEIPTS = "delete from perdure_receipts where expires_at <= ?"

SEAL_TARGET = "select target from perdure_seal"
QUEUE_LIMITS = "select name, value from perdure_settings where kind = 'queue'"
BUCKET = "select level, at from perdure_buckets where queue = ?"

# --- workers and questions

INSERT_WORKER = "insert into perdure_workers values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_WORKER_START = "update perdure_workers set start = ? where key = ? and is_alive = 1"
BEAT = """update perdure_workers set heartbeat_at = ?,
    lease_until = case when lease_until > ? + lease then lease_until else ? + lease end
    where key = ? and is_alive = 1"""
DELETE_WORKER = "delete from perdure_workers where key = ?"
LAPSED_WORKERS = "select key from perdure_workers where is_alive = 1 and lease_until <= ?"
MARK_WORKER_DEAD = """update perdure_workers set is_alive = 0,
    lease_until = case when lease_until < ? then lease_until else ? end where key = ?"""
DEAD_WORKERS = "select key from perdure_workers where is_alive = 0 and lease_until > ?"
LEASES_OF = """select worker from perdure_instances where ended_at is null and worker {one_of_keys}
    union select worker from perdure_activities where worker {one_of_keys}"""
FORGET_WORKERS = "delete from perdure_workers where is_alive = 0 and lease_until <= ?"

INSERT_QUESTION = "insert into perdure_questions values (?, ?, ?, ?, 0, null)"
QUESTIONS_FOR = """select q.id, q.instance_id, q.request, i.worker, i.queue, i.workflow, i.version
    from perdure_questions q join perdure_instances i on i.instance_id = q.instance_id
    where q.taken = 0 and (i.worker = ? or i.worker is null)"""
TAKE_QUESTION = "update perdure_questions set taken = 1 where id = ? and taken = 0"
ANSWER_QUESTION = "update perdure_questions set reply = ? where id = ? and reply is null"
DELETE_QUESTION = "delete from perdure_questions where id = ?"
FORGET_QUESTIONS = "delete from perdure_questions where expires_at <= ?"

LOOK_ROUND = """select exists (select 1 from perdure_workers where is_alive = 1 and lease_until <= ?)
    or exists (select 1 from perdure_activities where expires_at is not null and worker is null and expires_at <= ?)
    or exists (select 1 from perdure_instances {by_deadline}
        where deadline_at is not null and ended_at is null and deadline_at <= ?)
    or exists (select 1 from perdure_receipts where expires_at <= ?)
    or exists (select 1 from perdure_questions where expires_at <= ?)
    or exists (select 1 from perdure_workers where is_alive = 0 and (lease_until <= ? or lease_until > ?)),
    (select min(lease_until) from perdure_workers where is_alive = 1),
    exists (select 1 from perdure_questions where taken = 0 and instance_id <> '')"""

# --- settings, blobs, the seal

DROP_BLOBS = "delete from perdure_blobs where instance_key = ? and id >= ? and id < ?"
DELETE_SETTING = "delete from perdure_settings where kind = ? and name = ?"
LIMIT_ACTIVITIES = "update perdure_activities set limited = ?{revised} where queue = ?"
DELETE_BUCKET = "delete from perdure_buckets where queue = ?"
UNSEAL = "delete from perdure_seal"
ALL_WORKERS = "select key from perdure_workers"

LIVE_WORKER = "select start from perdure_workers where key = ? and is_alive = 1"

FREE_INSTANCES = "select key from perdure_instances where key {one_of_keys}{skip_locked}"
"""Those that are there and that nobody else is writing."""

REMOVE_INSTANCES = tuple(
    f"delete from perdure_{table} where {column} {{one_of_keys}}"
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
"""Each takes the instances' keys."""


_HELD = """select 0 as kind, at, 0 as token from (
        select wake_at as at from perdure_instances
        where phase = 3 and worker = ? and wake_at >= ? and wake_at <= ?{oldest_first} limit 1) h"""
_NEXT_HELD = """select 3, at, 0 from (
        select wake_at as at from perdure_instances where phase = 3 and worker = ? and wake_at > ?
        order by wake_at limit 1) n"""
_TOLD = "select 4, key, token from perdure_activities where cancel_requested = 1 and worker = ?"
_INSTANCES = """select 1, at, {place} from (
        select wake_at as at from perdure_instances
        where phase = 1 and queue = ? and wake_at >= ? and workflow {one_of_texts} and {of_versions}{oldest_first}
        limit 1) r
    union all select 1, at, {place} from (
        select wake_at as at from perdure_instances
        where phase = 2 and queue = ? and wake_at >= ? and wake_at <= ?{oldest_first} limit 1) d
    union all select 3, at, 0 from (
        select wake_at as at from perdure_instances
        where phase = 2 and queue = ? and wake_at > ? and workflow {one_of_texts} and {of_versions}
        order by wake_at limit 1) w"""
_ACTIVITIES = """select 2, at, {place} from (
        select due_at as at from perdure_activities
        where phase = 1 and queue = ? and due_at >= ? and name {one_of_texts}{oldest_first} limit 1) r
    union all select 2, at, {place} from (
        select due_at as at from perdure_activities
        where phase = 2 and queue = ? and due_at >= ? and due_at <= ?{oldest_first} limit 1) d
    union all select 3, at, 0 from (
        select due_at as at from perdure_activities where phase = 2 and queue = ? and due_at > ? and name {one_of_texts}
        order by due_at limit 1) w"""

GENERATION = "select 5, generation, 0 from perdure_store"
"""What stores with many writers survey besides."""

HELD_DUE, INSTANCE_DUE, ACTIVITY_DUE, DUE_LATER, TOLD, GENERATION_IS = range(6)
"""What a row of `survey` tells."""


@cache
def survey(workflow_queues: int, activity_queues: int, *also: str) -> str:
    """All that an idle worker asks, in one statement: rows of a kind, a time or key, and a token or the place of a queue."""
    instances = [_INSTANCES.replace("{place}", str(place)) for place in range(workflow_queues)]
    activities = [_ACTIVITIES.replace("{place}", str(place)) for place in range(activity_queues)]
    return "\n    union all ".join([_HELD, _NEXT_HELD, _TOLD, *also, *instances, *activities])
