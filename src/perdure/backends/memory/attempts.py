"""How attempts of activities end, and what is known of them meanwhile."""

from __future__ import annotations

from perdure.backends.endings import (
    LOSSES_IN_A_ROW,
    end_of_failed,
    end_of_open,
    waited_too_long,
    waits_until,
    worker_lost,
)
from perdure.backends.memory.appending import arrive
from perdure.backends.memory.leasing import hand_back_or_place
from perdure.backends.memory.rows import ActivityRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.event import ActivityCompleted, ActivityFailed
from perdure.model.failure import Failure
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityReleased,
    ActivityResult,
    ActivityRetry,
    Administered,
    AttemptEnd,
    AttemptFailed,
    CompleteActivityTask,
    Heartbeat,
    NotAppended,
    Recorded,
    RecordHeartbeat,
    Rejected,
    RetryActivityNow,
)


def complete_activity_task(tables: Tables, transition: CompleteActivityTask, now: Micros) -> Recorded | Rejected:
    row = tables.activities.get(transition.activity_key)
    if row is None or row.token is None or row.token != transition.token:
        return Rejected("another worker has the attempt, or it has ended")
    _end_attempt(tables, row, transition.end, now)
    if not row.is_waited_for:
        return Recorded()
    return Recorded(workflow_task=hand_back_or_place(tables, transition.offer, row.instance, now))


def _end_attempt(tables: Tables, row: ActivityRow, end: AttemptEnd, now: Micros) -> None:
    number = row.spec.number
    match end:
        case ActivityResult(result=result):
            completed = ActivityCompleted(at=now, number=number, result=result, attempts=row.attempt)
            _end(tables, row, completed, now)
        case ActivityFailure(failure=failure, cancelled=cancelled):
            event = ActivityFailed(at=now, number=number, failure=failure, attempts=row.attempt, cancelled=cancelled)
            _end(tables, row, event, now)
        case ActivityRetry(failure=failure, delay=delay):
            row.attempt, row.lost, row.last_failure = row.attempt + 1, 0, failure
            _give_back(tables, row, now + delay, now)
        case ActivityReleased():
            _give_back(tables, row, now, now)
        case ActivityOpened(elapsed=elapsed):
            _open(tables, row, elapsed, now)
        case AttemptFailed(failure=failure):
            _end_attempt(tables, row, _after_failure(tables, row, failure, now), now)


def _open(tables: Tables, row: ActivityRow, elapsed: Micros, now: Micros) -> None:
    if row.is_open:
        return
    if not row.is_waited_for:
        tables.remove_activity(row)
        return
    tables.open_activity(row)
    row.due_at, row.heard_at, row.lost = now - elapsed, now, 0
    tables.place_activity(row, now)


def _after_failure(tables: Tables, row: ActivityRow, failure: Failure, now: Micros) -> ActivityFailure | ActivityRetry:
    return end_of_failed(
        row.spec.name,
        row.attempt,
        failure,
        row.spec.retry,
        now,
        total_deadline_at=row.total_deadline_at,
        cancel_requested=row.cancel_requested,
        chance=tables.chance,
    )


def _finish(tables: Tables, row: ActivityRow, event: ActivityCompleted | ActivityFailed, now: Micros) -> None:
    """The activity has ended; its instance hears of it if it still waits."""
    _end(tables, row, event, now)
    if row.is_waited_for:
        tables.place_instance(row.instance, now)


def _end(tables: Tables, row: ActivityRow, event: ActivityCompleted | ActivityFailed, now: Micros) -> None:
    tables.remove_activity(row)
    if row.is_waited_for:
        arrive(tables, row.instance, event, now)


def _give_back(tables: Tables, row: ActivityRow, due_at: Micros, now: Micros) -> None:
    """End the lease; the activity is due again, unless nobody waits for it any more."""
    if not row.is_waited_for:
        tables.remove_activity(row)
        return
    tables.release_activity(row)
    row.due_at = due_at
    tables.place_activity(row, now)


def release_attempt(tables: Tables, row: ActivityRow, now: Micros) -> None:
    """Give an attempt back, uncounted."""
    _give_back(tables, row, now, now)


def lose_attempt(tables: Tables, row: ActivityRow, now: Micros) -> None:
    """Its worker is dead: due again, uncounted, unless that has happened too often in a row."""
    row.lost += 1
    if row.lost >= LOSSES_IN_A_ROW:
        event = worker_lost(row.spec.number, row.spec.name, row.attempt, row.last_failure, now)
        _finish(tables, row, event, now)
    else:
        _give_back(tables, row, now, now)


def expire(tables: Tables, row: ActivityRow, now: Micros) -> bool:
    """End what waits for a worker, or for its end from outside, if its time is over."""
    if row.is_open:
        _end_attempt(tables, row, _end_of_open(tables, row, now), now)
        tables.place_instance(row.instance, now)
        return True
    until = waits_until(row.scheduled_at, row.due_at, row.spec.total_timeout, row.spec.queue_timeout)
    if row.worker is not None or until is None or until[0] > now:
        return False
    event = waited_too_long(row.spec.number, row.spec.name, row.attempt, row.last_failure, now, until[1])
    _finish(tables, row, event, now)
    return True


def _end_of_open(tables: Tables, row: ActivityRow, now: Micros) -> ActivityFailure | ActivityRetry:
    spec = row.spec
    return end_of_open(
        spec.name,
        row.attempt,
        spec.retry,
        now,
        total_deadline_at=row.total_deadline_at,
        deadline_at=None if spec.timeout is None else row.due_at + spec.timeout,
        chance=tables.chance,
    )


def record_heartbeat(tables: Tables, transition: RecordHeartbeat, now: Micros) -> Heartbeat:
    row = tables.activities.get(transition.activity_key)
    if row is None or row.token is None or row.token != transition.token:
        return Heartbeat(is_held=False)
    if transition.details is not None:
        row.heartbeat_details = tables.apart.in_slot(
            row.instance.key, f"details {row.key}", transition.details, row.heartbeat_details
        )
    if row.is_open:
        row.heard_at = now
        tables.place_activity(row, now)
    return Heartbeat(is_held=True, cancel_requested=row.cancel_requested)


def retry_activity_now(tables: Tables, transition: RetryActivityNow, now: Micros) -> Administered | NotAppended:
    instance = tables.by_id.get(transition.instance_id)
    if instance is None or not instance.is_running:
        return NotAppended(None if instance is None else instance.state)
    row = instance.activities.get(transition.number)
    if row is None:
        return NotAppended(instance.state)
    if row.worker is None and row.due_at > now:
        row.due_at = now
        tables.place_activity(row, now)
    return Administered()
