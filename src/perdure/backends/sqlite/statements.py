"""What a batch writes by the row, as SQLite likes it: a Bulk (bulk.py) for each kind of change. Valid on SQLite 3.35."""

from __future__ import annotations

from perdure.backends.rows import ACTIVITY_COLUMNS, INSTANCE_COLUMNS
from perdure.backends.sql.statements import ATTEMPT_COLUMNS, OTHER_COLUMNS, STEP_COLUMNS
from perdure.backends.sqlite import bulk

# --- instances

INSERT_INSTANCE = bulk.insert("perdure_instances", INSTANCE_COLUMNS)

# The hot statements are made for how sqlite3 binds values: None and bytes cost it 0.3 µs each, as much as a row's place
# in an index, for it looks for an adapter first; int, str and bytearray 0.05. Hence the nullif, -1 and '' being nobody's.
_NO_NUMBER, _NO_TEXT, _NO_DATA, _GIVEN = "nullif({}, -1)", "nullif({}, '')", "nullif({}, x'')", "{}"
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
    "retention": _NO_DATA,
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

UPDATE_LEASE = bulk.update("perdure_instances", _LEASE)
UPDATE_STEP = bulk.update("perdure_instances", {**_LEASE, **_STEP})
UPDATE_BEGUN = bulk.update("perdure_instances", {**_LEASE, **_STEP}, ", started = null")
UPDATE_ENDED = bulk.update(
    "perdure_instances",
    {**_STEP, "state": _GIVEN, "ended_at": _GIVEN, "outcome": _GIVEN, "remove_at": _NO_NUMBER},
    ", worker = null, token = null, claimed = 0, wake_at = null, phase = 0, suspended = 0, stuck_reason = null",
)
UPDATE_RESHAPED = bulk.update("perdure_instances", (*STEP_COLUMNS, *OTHER_COLUMNS))

# --- executions, events, pending events

INSERT_EXECUTION = bulk.insert(
    "perdure_executions",
    ("instance_key", "number", "execution_id", "state", "started_at", "ended_at", "history_length"),
)
INSERT_EVENTS = bulk.insert("perdure_events", ("instance_key", "execution_number", "position", "events"))
INSERT_PENDING = bulk.insert("perdure_pending", ("instance_key", "id", "event"))
CLEAR_PENDING = bulk.Bulk("delete from perdure_pending where instance_key in (values {})", 1)
DELETE_PENDING = bulk.Bulk(
    "delete from perdure_pending where (instance_key, id) in (select column1, column2 from (values {}))", 2
)

# --- activities

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

UPDATE_ACTIVITY = bulk.update("perdure_activities", ATTEMPT_COLUMNS)
DELETE_ACTIVITY = bulk.Bulk("delete from perdure_activities where key in (values {})", 1)

# --- the rest

PUBLISH = bulk.insert("perdure_published", ("instance_key", "name", "value"), how="or replace")
INSERT_RECEIPT = bulk.insert("perdure_receipts", ("instance_key", "message_id", "expires_at"), how="or replace")
PUT_BUCKET = bulk.insert("perdure_buckets", ("queue", "level", "at"), how="or replace")
