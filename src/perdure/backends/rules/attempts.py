"""How attempts of activities end, and what is known of them meanwhile."""

from __future__ import annotations

from perdure.backends.endings import (
    LOSSES_IN_A_ROW,
    end_of_failed,
    end_of_open,
    open_until,
    waited_too_long,
    waits_until,
    worker_lost,
)
from perdure.backends.rows import STATES, ActivityRow, InstanceRow, decode_failure, encode
from perdure.backends.rules.appending import append
from perdure.backends.rules.checkpoints import expires_at
from perdure.backends.rules.handback import hand_back_workflow_task
from perdure.backends.unit.unit import Unit
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


def complete_activity_task(unit: Unit, transition: CompleteActivityTask) -> Recorded | Rejected:
    row = unit.activity(transition.activity_key)
    if row is None or row.token is None or row.token != transition.token:
        return Rejected("another worker has the attempt, or it has ended")
    instance = _waiting_instance(unit, row)
    if instance is None:
        unit.remove_activity(row)
        return Recorded()
    _end(unit, row, instance, transition.end)
    return Recorded(workflow_task=hand_back_workflow_task(unit, transition.offer, instance))


def _end(unit: Unit, row: ActivityRow, instance: InstanceRow, end: AttemptEnd) -> None:
    """What an end does to the row, and to the instance that waits for it."""
    now, number = unit.now, row.number
    match end:
        case ActivityResult(result):
            completed = ActivityCompleted(at=now, number=number, result=result, attempts=row.attempt)
            _finish(unit, row, instance, completed)
        case ActivityFailure(failure, cancelled):
            failed = ActivityFailed(at=now, number=number, failure=failure, attempts=row.attempt, cancelled=cancelled)
            _finish(unit, row, instance, failed)
        case ActivityRetry(failure, delay):
            row.attempt, row.lost, row.last_failure = row.attempt + 1, 0, encode(failure)
            _give_back(unit, row, now + delay)
        case ActivityReleased():
            _give_back(unit, row, now)
        case ActivityOpened(elapsed):
            _open(unit, row, elapsed)
        case AttemptFailed(failure):
            _end(unit, row, instance, _after_failure(unit, row, failure))


def _open(unit: Unit, row: ActivityRow, elapsed: Micros) -> None:
    if row.is_open:
        return
    unit.open_activity(row)
    row.due_at, row.lost = unit.now - elapsed, 0
    row.expires_at = _open_until(unit, row)


def _open_until(unit: Unit, row: ActivityRow) -> Micros | None:
    fixed = row.fixed
    return open_until(
        row.scheduled_at,
        row.due_at,
        unit.now,
        total_timeout=fixed.total_timeout,
        timeout=fixed.timeout,
        heartbeat_timeout=fixed.heartbeat_timeout,
    )


def _after_failure(unit: Unit, row: ActivityRow, failure: Failure) -> ActivityFailure | ActivityRetry:
    return end_of_failed(
        row.name,
        row.attempt,
        failure,
        row.fixed.retry,
        unit.now,
        total_deadline_at=row.total_deadline_at,
        cancel_requested=bool(row.cancel_requested),
        chance=unit.chance,
    )


def _waiting_instance(unit: Unit, row: ActivityRow) -> InstanceRow | None:
    """The instance, if it waits for the activity's end."""
    instance = unit.instance(row.instance_key)
    if row.orphaned or instance is None or not instance.is_running:
        return None
    return instance if instance.execution_number == row.execution_number else None


def _finish(unit: Unit, row: ActivityRow, instance: InstanceRow, event: ActivityCompleted | ActivityFailed) -> None:
    unit.remove_activity(row)
    append(unit, instance, event)


def _give_back(unit: Unit, row: ActivityRow, due_at: Micros) -> None:
    """End the lease; the activity is due again."""
    unit.release_activity(row)
    row.due_at = due_at
    row.expires_at = expires_at(row.scheduled_at, due_at, row.fixed)
    unit.change_activity(row)


def release_attempt(unit: Unit, row: ActivityRow) -> None:
    """Give an attempt back, uncounted."""
    if _waiting_instance(unit, row) is None:
        unit.remove_activity(row)
    else:
        _give_back(unit, row, unit.now)


def lose_attempt(unit: Unit, row: ActivityRow) -> None:
    """Its worker is dead: due again, uncounted, unless that has happened too often in a row."""
    row.lost += 1
    instance = _waiting_instance(unit, row)
    if instance is None or row.lost < LOSSES_IN_A_ROW:
        release_attempt(unit, row)
        return
    last = decode_failure(row.last_failure)
    _finish(unit, row, instance, worker_lost(row.number, row.name, row.attempt, last, unit.now))


def expire(unit: Unit, row: ActivityRow) -> bool:
    """End what waits for a worker, or for its end from outside, if its time is over."""
    fixed = row.fixed
    instance = _waiting_instance(unit, row)
    is_over = row.worker is None and row.expires_at is not None and row.expires_at <= unit.now
    if not is_over or instance is None:
        return False
    if row.is_open:
        _end(unit, row, instance, _end_of_open(unit, row))
        return True
    until = waits_until(row.scheduled_at, row.due_at, fixed.total_timeout, fixed.queue_timeout)
    if until is None:
        return False
    last = decode_failure(row.last_failure)
    _finish(unit, row, instance, waited_too_long(row.number, row.name, row.attempt, last, unit.now, until[1]))
    return True


def _end_of_open(unit: Unit, row: ActivityRow) -> ActivityFailure | ActivityRetry:
    fixed = row.fixed
    return end_of_open(
        row.name,
        row.attempt,
        fixed.retry,
        unit.now,
        total_deadline_at=row.total_deadline_at,
        deadline_at=None if fixed.timeout is None else row.due_at + fixed.timeout,
        chance=unit.chance,
    )


def record_heartbeat(unit: Unit, transition: RecordHeartbeat) -> Heartbeat:
    row = unit.activity(transition.activity_key)
    if row is None or row.token is None or row.token != transition.token:
        return Heartbeat(is_held=False)
    if transition.details is not None:
        row.details = unit.apart.in_slot(row.instance_key, f"details {row.key}", transition.details, row.details)
    if row.is_open:
        row.expires_at = _open_until(unit, row)
    unit.change_activity(row)
    return Heartbeat(is_held=True, cancel_requested=bool(row.cancel_requested))


def retry_activity_now(unit: Unit, transition: RetryActivityNow) -> Administered | NotAppended:
    instance = unit.instance_by_id(transition.instance_id)
    if instance is None or not instance.is_running:
        return NotAppended(None if instance is None else STATES[instance.state])
    for row in unit.activities_of(instance):
        if row.number == transition.number and row.execution_number == instance.execution_number and not row.orphaned:
            if row.worker is None and row.due_at > unit.now:
                _give_back(unit, row, unit.now)
            return Administered()
    return NotAppended(STATES[instance.state])
