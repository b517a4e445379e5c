"""Where the indexes have a row: a function of its columns, so that a row that changes moves from its old places to its new ones.

What was written is remembered with the row (`indexed`); rules change rows in place.
"""

from __future__ import annotations

from collections.abc import Mapping

from perdure.backends.redis.keys import (
    CLAIMED,
    NOTHING_DUE,
    Keys,
    activity_member,
    instance_member,
    lease_member,
    pack,
    pack_pair,
)
from perdure.backends.rows import HELD, READY, WAITING, ActivityRow, InstanceRow

Entry = tuple[bytes, bytes]
"""A key and a member."""
Entries = Mapping[Entry, int]
"""With their scores."""


def of_instance(keys: Keys, row: InstanceRow) -> Entries:
    key = pack(row.key)
    found: dict[Entry, int] = {(keys.states[row.state], key): 0}
    if row.parent_id is not None and row.parent_execution is not None:
        found[keys.children(row.parent_id, row.parent_execution), key] = int(row.state > 0)
    if row.ended_at is not None:
        found[keys.ended, key] = row.ended_at
        if row.remove_at is not None:
            found[keys.removals, key] = row.remove_at
        return found
    if row.deadline_at is not None:
        found[keys.deadlines, key] = row.deadline_at
    if row.stuck_reason is not None:
        found[keys.stuck, key] = 0
    if row.suspended:
        found[keys.suspended, key] = 0
    due_at = row.wake_at or 0
    if row.worker is not None:
        score = CLAIMED if row.claimed else due_at if row.phase == HELD else NOTHING_DUE
        found[keys.leased_instances(row.worker), lease_member(row.key, row.priority)] = score
    elif row.phase == READY:
        found[keys.ready_instances(row.queue), _instance_member(row, due_at)] = 0
    elif row.phase == WAITING:
        found[keys.waiting_instances(row.queue), _instance_member(row, due_at)] = due_at
    return found


def _instance_member(row: InstanceRow, due_at: int) -> bytes:
    return instance_member(row.priority, row.key, due_at, row.workflow, row.version)


def of_activity(keys: Keys, row: ActivityRow) -> Entries:
    key = pack(row.key)
    found: dict[Entry, int] = {(keys.open, pack_pair(row.instance_key, row.key)): 0}
    if row.worker is not None:
        found[keys.leased_activities(row.worker), key] = row.cancel_requested
        found[keys.running(row.queue), running_member(row)] = 0
        return found
    if row.expires_at is not None:
        found[keys.expiring, key] = row.expires_at
    if row.phase == READY:
        found[keys.ready_activities(row.queue), _activity_member(row)] = 0
    elif row.phase == WAITING:
        found[keys.waiting_activities(row.queue), _activity_member(row)] = row.due_at
    return found


def running_member(row: ActivityRow) -> bytes:
    """Of one lease, and no other of the same activity."""
    return pack_pair(row.key, row.token or 0)


def _activity_member(row: ActivityRow) -> bytes:
    return activity_member(row.priority, row.instance_key, row.number, row.key, row.due_at, row.name)
