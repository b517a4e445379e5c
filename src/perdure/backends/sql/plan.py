"""What a batch writes, as rows for a few kinds of statements, and what must still be as it was read: for stores with many writers.

Each row that is written gets a new revision. A plan is made once, for one attempt to write it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Literal

import msgspec

from perdure.backends.rows import (
    ACTIVITY_COLUMNS,
    BEGUN,
    ENDED,
    INSTANCE_COLUMNS,
    RESHAPED,
    STEPPED,
    InstanceRow,
)
from perdure.backends.sql.lines import Guess, Table
from perdure.backends.sql.statements import (
    ATTEMPT_COLUMNS,
    DO_ACTIVITIES_WAIT,
    DO_INSTANCES_WAIT,
    OTHER_COLUMNS,
    STEP_COLUMNS,
)
from perdure.backends.unit.changes import Changes

Row = tuple[Any, ...]


class Kind(msgspec.Struct, frozen=True):
    """A kind of statement: what is done with rows of these columns, of which the first `keys` say which row it is."""

    what: Literal["insert", "update", "upsert", "delete"]
    table: str
    columns: tuple[str, ...]
    keys: int = 1
    also: str = ""
    """What an update sets besides."""


_STEP = ("key", *STEP_COLUMNS, "revision")
_END = ("key", *STEP_COLUMNS[5:], "state", "ended_at", "outcome", "remove_at", "revision")

NEW_INSTANCE = Kind("insert", "perdure_instances", (*INSTANCE_COLUMNS, "revision"))
STEPPED_INSTANCE = Kind("update", "perdure_instances", _STEP)
BEGUN_INSTANCE = Kind("update", "perdure_instances", _STEP, also=", started = null")
ENDED_INSTANCE = Kind(
    "update",
    "perdure_instances",
    _END,
    also=", worker = null, token = null, claimed = 0, wake_at = null, phase = 0, suspended = 0, stuck_reason = null",
)
RESHAPED_INSTANCE = Kind("update", "perdure_instances", ("key", *STEP_COLUMNS, *OTHER_COLUMNS, "revision"))
NEW_EVENTS = Kind("insert", "perdure_events", ("instance_key", "execution_number", "position", "events"), 3)
NEW_EXECUTION = Kind(
    "insert",
    "perdure_executions",
    ("instance_key", "number", "execution_id", "state", "started_at", "ended_at", "history_length"),
    2,
)
CLEARED_PENDING = Kind("delete", "perdure_pending", ("instance_key",))
DROPPED_PENDING = Kind("delete", "perdure_pending", ("instance_key", "id"), 2)
NEW_PENDING = Kind("insert", "perdure_pending", ("instance_key", "id", "event"), 2)
NEW_ACTIVITY = Kind("insert", "perdure_activities", (*ACTIVITY_COLUMNS, "revision"))
CHANGED_ACTIVITY = Kind("update", "perdure_activities", ("key", *ATTEMPT_COLUMNS, "revision"))
REMOVED_ACTIVITY = Kind("delete", "perdure_activities", ("key",))
PUBLISHED = Kind("upsert", "perdure_published", ("instance_key", "name", "value"), 2)
RECEIPT = Kind("upsert", "perdure_receipts", ("instance_key", "message_id", "expires_at"), 2)
NEW_BUCKET = Kind("insert", "perdure_buckets", ("queue", "level", "at", "revision"))
BUCKET = Kind("update", "perdure_buckets", ("queue", "level", "at", "revision"))

KINDS = (
    NEW_INSTANCE,
    STEPPED_INSTANCE,
    BEGUN_INSTANCE,
    ENDED_INSTANCE,
    RESHAPED_INSTANCE,
    NEW_EVENTS,
    NEW_EXECUTION,
    CLEARED_PENDING,
    DROPPED_PENDING,
    NEW_PENDING,
    NEW_ACTIVITY,
    CHANGED_ACTIVITY,
    REMOVED_ACTIVITY,
    PUBLISHED,
    RECEIPT,
    NEW_BUCKET,
    BUCKET,
)
"""In this order they are written, where they are written one after the other."""

_OF_SHAPE = {STEPPED: STEPPED_INSTANCE, BEGUN: BEGUN_INSTANCE, ENDED: ENDED_INSTANCE, RESHAPED: RESHAPED_INSTANCE}
_values = {
    kind: attrgetter(*kind.columns) for kind in (NEW_INSTANCE, *_OF_SHAPE.values(), NEW_ACTIVITY, CHANGED_ACTIVITY)
}


_TEXTS = frozenset(
    [
        "instance_id",
        "workflow",
        "queue",
        "version",
        "parent_id",
        "parent_close",
        "created_workflow",
        "stuck_reason",
        "tags",
        "name",
    ]
)
_BYTES = frozenset(
    [
        "execution_id",
        "parent_execution",
        "request_id",
        "digest",
        "created_digest",
        "message_id",
        "outcome",
        "retention",
        "started",
        "events",
        "event",
        "last_failure",
        "details",
        "body",
        "value",
    ]
)


WAITS: Mapping[Table, str] = {"instances": DO_INSTANCES_WAIT, "activities": DO_ACTIVITIES_WAIT}
"""Conditions of which none must hold for `Plan.lines`; their parameters are of a queue, twice, and the time."""


def type_of(column: str) -> Literal["int", "real", "text", "bytes"]:
    """The type of a column that a plan writes."""
    if column in _TEXTS:
        return "text"
    if column in _BYTES:
        return "bytes"
    return "real" if column == "level" else "int"


class Plan(msgspec.Struct):
    """Rows by kind, and the revisions that rows must still have."""

    rows: dict[Kind, list[Row]]
    instances: list[tuple[int, int]]
    """Key and revision, in the order of keys, in which they are to be locked."""
    activities: list[tuple[int, int]]
    buckets: list[tuple[str, int | None]]
    """Queue and revision; None if there was no row."""
    lines: list[Guess]


def plan(
    changes: Changes,
    buckets: Mapping[str, int | None],
    lines: list[Guess],
    draw: Callable[[], int],
) -> Plan:
    """What to write. `buckets` has the revisions of those that were read; `draw` gives new revisions."""
    rows: dict[Kind, list[Row]] = {}
    instances: list[tuple[int, int]] = []
    for row in changes.instances.values():
        if not row.is_new:
            instances.append((row.key, row.revision))
        row.revision = draw()
        kind = _kind_of(row)
        rows.setdefault(kind, []).append(_values[kind](row))
    activities = [(row.key, row.revision) for row in changes.removed_activities.values()]
    for activity in changes.activities.values():
        if not activity.is_new:
            activities.append((activity.key, activity.revision))
        activity.revision = draw()
        kind = NEW_ACTIVITY if activity.is_new else CHANGED_ACTIVITY
        rows.setdefault(kind, []).append(_values[kind](activity))
    instances.sort()
    activities.sort()
    rows.update({kind: some for kind, some in _others(changes, buckets, draw).items() if some})
    return Plan(rows, instances, activities, [(queue, buckets.get(queue)) for queue in changes.buckets], lines)


def _kind_of(row: InstanceRow) -> Kind:
    return NEW_INSTANCE if row.is_new else _OF_SHAPE.get(row.shape, STEPPED_INSTANCE)


def _others(changes: Changes, buckets: Mapping[str, int | None], draw: Callable[[], int]) -> dict[Kind, list[Row]]:
    filled = [(queue, bucket.level, bucket.at, draw()) for queue, bucket in changes.buckets.items()]
    return {
        NEW_EVENTS: _rows_of(changes.events, 4),
        NEW_EXECUTION: _rows_of(changes.executions, 7),
        CLEARED_PENDING: [(key,) for key in changes.cleared_pending],
        DROPPED_PENDING: [(key, number) for key, numbers in changes.dropped_pending.items() for number in numbers],
        NEW_PENDING: [
            (key, number, event) for key, events in changes.pending.items() for number, event in events.items()
        ],
        REMOVED_ACTIVITY: [(key,) for key in changes.removed_activities],
        PUBLISHED: [(*key, value) for key, value in changes.published.items()],
        RECEIPT: [(*key, expires_at) for key, expires_at in changes.receipts.items()],
        NEW_BUCKET: [row for row in filled if buckets.get(row[0]) is None],
        BUCKET: [row for row in filled if buckets.get(row[0]) is not None],
    }


def _rows_of(values: list[Any], width: int) -> list[Row]:
    """Values that stand one behind the other, as rows."""
    each: Iterable[Any] = iter(values)
    return list(zip(*[each] * width, strict=True))
