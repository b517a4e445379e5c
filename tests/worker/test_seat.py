"""What a worker holds of one instance."""

from __future__ import annotations

from perdure.model.retry import NO_RETRY, stored_retry
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import ActivityResult
from perdure.worker.seat import Result, Seat, Work

FORMER, CURRENT = b"f" * 16, b"c" * 16


def workflow_task(execution_id: bytes, token: int = 1) -> WorkflowTask:
    return WorkflowTask(
        instance_key=1, instance_id="order-1", execution_id=execution_id, workflow="checkout", queue="default", priority=0,
        version=None, parent=None, token=token, position=0, history_bytes=0, now=0, pending=(), created_at=0,
    )  # fmt: skip


def result(execution_id: bytes) -> Result:
    task = ActivityTask(
        activity_key=1, token=1, instance_key=1, instance_id="order-1", execution_id=execution_id, workflow="checkout",
        number=1, name="charge", arguments=b"[]", queue="default", priority=0, attempt=1, retry=stored_retry(NO_RETRY),
        scheduled_at=0, now=0,
    )  # fmt: skip
    return Result(task, ActivityResult(b"1"))


def test_a_result_of_the_former_execution_never_reaches_the_next_one() -> None:
    """W9, W10: it came while the checkpoint of continue-as-new was on its way; the simulation found it."""
    seat = Seat(workflow_task(FORMER))
    former, current = result(FORMER), result(CURRENT)
    assert seat.add_result(former)
    next_task = workflow_task(CURRENT)
    seat.add_task(next_task)
    assert seat.add_result(current)
    work = seat.next_work()
    assert work is not None
    seat.sit_down(next_task)

    assert seat.sort_out(work) == (Work(next_task, (current,)), (former,))


def test_a_task_that_makes_way_for_one_of_another_lease_isnt_forgotten() -> None:
    """Answers overtake each other, and one of the two leases may hold; the simulation found it."""
    seat = Seat(workflow_task(CURRENT))
    first, again, other = workflow_task(CURRENT), workflow_task(CURRENT), workflow_task(CURRENT, token=2)

    assert seat.add_task(first) is None
    assert seat.add_task(again) is None
    assert seat.add_task(other) is again
