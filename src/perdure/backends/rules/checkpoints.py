"""How a workflow task ends: by a checkpoint, or by giving it back."""

from __future__ import annotations

from perdure.backends.endings import cancelled_unstarted, waits_until
from perdure.backends.rows import BEGUN, RESHAPED, STATES, ActivityBody, ActivityRow, InstanceRow, encode
from perdure.backends.rules.closing import continue_as_new, end, release
from perdure.backends.rules.handback import hand_back_activities, hand_back_workflow_task
from perdure.backends.rules.messages import deliver
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.model.checkpoint import CancelActivity, Checkpoint, Closing, NewActivity
from perdure.model.instance import Outcome
from perdure.model.transition import Checkpointed, CompleteWorkflowTask, FirstStep, Rejected, ReleaseInstance


def complete_workflow_task(unit: Unit, transition: CompleteWorkflowTask) -> Checkpointed | Rejected:
    row = unit.instance(transition.instance_key)
    if row is None:
        return Rejected("the instance is gone")
    reason = _broken_fence(unit, row, transition)
    if reason is not None:
        return Rejected(reason)
    for fused in transition.fused:
        activity = unit.activity(fused.activity_key)
        assert activity is not None
        unit.remove_activity(activity)
    return write_checkpoint(unit, row, transition)


def write_checkpoint(unit: Unit, row: InstanceRow, step: CompleteWorkflowTask | FirstStep) -> Checkpointed:
    """Write a checkpoint whose fences hold."""
    checkpoint = step.checkpoint
    grown = 0
    if checkpoint.events:
        grown = unit.write_history(row, checkpoint.events)
    new = _apply(unit, row, checkpoint)
    if checkpoint.closing is not None:
        _close(unit, row, checkpoint.closing)
    if step.release:
        release(unit, row)
    unit.change(row)
    offer = step.offer
    if offer is None:
        if new and not row.suspended:
            unit.heads.activities_added(new)
        return Checkpointed(events_bytes=grown)
    activities = hand_back_activities(unit, offer, row, new) if new else ()
    task = None if step.release or row.wake_at is None else hand_back_workflow_task(unit, offer, row)
    return Checkpointed(activities=activities, workflow_task=task, events_bytes=grown)


def _broken_fence(unit: Unit, row: InstanceRow, transition: CompleteWorkflowTask) -> str | None:
    if not row.is_running:
        return f"the instance has ended: {STATES[row.state]}"
    if row.token is None or row.token != transition.token:
        return "another worker has the instance, or none"
    if row.position != transition.checkpoint.position:
        return f"history is at position {row.position}, not {transition.checkpoint.position}"
    for fused in transition.fused:
        activity = unit.activity(fused.activity_key)
        if activity is None or activity.token != fused.token:
            return "the attempt whose result was applied has lost its lease"
    return None


def _apply(unit: Unit, row: InstanceRow, checkpoint: Checkpoint) -> list[ActivityRow]:
    """Write all but events and the end; gives the new activities."""
    row.claimed = 0
    if row.stuck_attempts or row.lost:
        row.stuck_reason, row.stuck_attempts, row.lost = None, 0, 0
        unit.change(row, RESHAPED)
    row.updated_at = unit.now
    if row.started is not None:
        row.started = row.started_event = None
        unit.change(row, BEGUN)
    if checkpoint.consumed:
        unit.drop_pending(row, checkpoint.consumed)
    # Workflow code that has ended waits for none of its activities: those that would begin now never do.
    new = [] if checkpoint.closing is not None else [_insert(unit, row, spec) for spec in checkpoint.activities]
    if checkpoint.cancelled_activities:
        new = _cancel_activities(unit, row, checkpoint.cancelled_activities, new)
    for message in checkpoint.messages:
        deliver(unit, row, message)
    if checkpoint.published:
        for name, value in checkpoint.published.items():
            unit.changes.published[row.key, name] = unit.apart.in_slot(row.key, f"published {name}", value)
    row.wake_at = unit.now if row.pending_count else checkpoint.next_timer_at
    return new


def _insert(unit: Unit, row: InstanceRow, spec: NewActivity) -> ActivityRow:
    body = ActivityBody(
        unit.apart.payload(row.key, spec.arguments),
        spec.retry,
        spec.timeout,
        spec.total_timeout,
        spec.queue_timeout,
        spec.heartbeat_timeout,
        spec.headers,
    )
    now = unit.now
    activity = ActivityRow(
        key=unit.keys.draw(now),
        instance_key=row.key,
        execution_number=row.execution_number,
        number=spec.number,
        name=spec.name,
        queue=spec.queue,
        priority=spec.priority,
        scheduled_at=now,
        due_at=now,
        expires_at=expires_at(now, now, body),
        limited=1 if spec.queue in unit.limits() else 0,
        body=encode(body),
        decoded_body=body,
    )
    unit.add_activity(row, activity)
    return activity


def expires_at(scheduled_at: Micros, due_at: Micros, body: ActivityBody) -> Micros | None:
    """Until when the activity may wait for a worker."""
    if body.total_timeout is None and body.queue_timeout is None:
        return None
    until = waits_until(scheduled_at, due_at, body.total_timeout, body.queue_timeout)
    return None if until is None else until[0]


def _cancel_activities(
    unit: Unit, row: InstanceRow, cancels: tuple[CancelActivity, ...], new: list[ActivityRow]
) -> list[ActivityRow]:
    """Gives those of `new` that are left."""
    by_number = {
        activity.number: activity
        for activity in unit.activities_of(row)
        if activity.execution_number == row.execution_number and not activity.orphaned
    }
    removed: set[int] = set()
    for cancel in cancels:
        activity = by_number.get(cancel.number)
        if activity is None:
            continue
        if activity.is_open and cancel.told:
            activity.cancel_requested = 1
            unit.change_activity(activity)
        elif activity.worker is None:
            unit.remove_activity(activity)
            removed.add(activity.key)
            if cancel.told:
                unit.add_pending(row, cancelled_unstarted(cancel.number, activity.name, activity.attempt, unit.now))
        else:
            if cancel.told:
                activity.cancel_requested = 1
                unit.wakes.worker_due(activity.worker, unit.now)
            else:
                activity.orphaned = 1
            unit.change_activity(activity)
    return [activity for activity in new if activity.key not in removed]


def _close(unit: Unit, row: InstanceRow, closing: Closing) -> None:
    if closing.following is not None:
        continue_as_new(unit, row, closing.following)
        return
    outcome = Outcome(
        instance_id=row.instance_id,
        workflow=row.workflow,
        state=closing.state,
        result=closing.result,
        failure=closing.failure,
    )
    end(unit, row, outcome)


def release_instance(unit: Unit, transition: ReleaseInstance) -> bool:
    row = unit.instance(transition.instance_key)
    if row is None or row.token is None or row.token != transition.token:
        return False
    release(unit, row)
    return True
