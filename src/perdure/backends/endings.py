"""What a store itself says: how an end is told, and the failures that time and lost workers lead to."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from perdure.clock import Micros
from perdure.model.checkpoint import SendSignal, StartSubWorkflow
from perdure.model.event import (
    ActivityFailed,
    CancelRequested,
    Sent,
    SignalRefused,
    SubWorkflowCompleted,
    SubWorkflowFailed,
)
from perdure.model.failing import after_failure, ran_out
from perdure.model.failure import Failure, plain_failure
from perdure.model.instance import Outcome, State
from perdure.model.retry import StoredRetry
from perdure.model.task import PendingPayload
from perdure.model.transition import ActivityFailure, ActivityRetry

LOSSES_IN_A_ROW = 5
"""The fifth loss with its worker ends an activity, and makes an instance stuck (E4) whose workflow task was out."""

LOSSES_OF_A_SUSPECT = 3
"""From so many on it may be the instance that takes its workers with it: a worker is given few such at a time, and of those that
have lost one more only one, so that who was merely beside it doesn't lose the fifth for its sake."""

_SUSPECTS_AT_A_TIME = 8
"""They are as many as were out at the workers that died: one by one they would wait for long."""

DEAD_WORKERS_KEPT: Micros = 3600 * 1_000_000
"""How long the row of a dead worker stays for operators to see."""

MESSAGES_KEPT: Micros = 7 * 24 * 3600 * 1_000_000
"""How long a receiver remembers the ids of messages from other instances."""

PARENT_CLOSED = "its parent has ended"
"""The reason of the cancel, or termination, that parent_close leads to."""


def may_take(lost: int, held: Collection[int]) -> bool:
    """Whether a worker may be given an instance that has `lost` so many, beside suspects of which each has lost what `held` says."""
    if lost < LOSSES_OF_A_SUSPECT or not held:
        return True
    return max(lost, *held) == LOSSES_OF_A_SUSPECT and len(held) < _SUSPECTS_AT_A_TIME


def tell_parent(number: int, outcome: Outcome, now: Micros) -> SubWorkflowCompleted | SubWorkflowFailed:
    """What the end of a sub-workflow is to the parent that started it by command `number`."""
    if outcome.state is State.COMPLETED:
        return SubWorkflowCompleted(at=now, number=number, result=outcome.result or b"")
    if outcome.failure is not None:
        return SubWorkflowFailed(at=now, number=number, failure=outcome.failure)
    name = f"sub-workflow {outcome.workflow} ({outcome.instance_id})"
    if outcome.state is State.CANCELLED:
        failure = plain_failure("SubWorkflowCancelled", f"{name} was cancelled")
        return SubWorkflowFailed(at=now, number=number, failure=failure, cancelled=True)
    reason = f": {outcome.reason}" if outcome.reason else ""
    return SubWorkflowFailed(
        at=now, number=number, failure=plain_failure("SubWorkflowTerminated", f"{name} was terminated{reason}")
    )


def refuse_child(message: StartSubWorkflow, now: Micros) -> SubWorkflowFailed:
    """The answer to a start whose id is taken."""
    failure = plain_failure(
        "InstanceAlreadyExists",
        f"the sub-workflow {message.workflow} wasn't started: the id {message.instance_id!r} is taken",
        permanent=True,
    )
    return SubWorkflowFailed(at=now, number=message.number, failure=failure, refused=True)


def refuse_signal(message: SendSignal, state: State | None, now: Micros) -> SignalRefused:
    """The answer to a signal that nobody took."""
    why = "no such instance exists" if state is None else f"the instance has ended ({state})"
    failure = plain_failure(
        "SignalNotDelivered", f"signal {message.signal.name!r} to {message.instance_id!r}: {why}", permanent=True
    )
    return SignalRefused(at=now, number=message.number, failure=failure)


def carries_over(event: PendingPayload) -> bool:
    """Whether continue-as-new takes the pending event along: signals, cancels and updates belong to the instance."""
    return isinstance(event, Sent)


def outcome_is_result(state: State) -> bool:
    """Whether an ended instance ended with a result: one that didn't makes way for RESTART_FAILED and for retries."""
    return state is State.COMPLETED


def deadline_at(now: Micros, start_delay: Micros, timeout: Micros | None) -> Micros | None:
    """When an instance created now has outlived its timeout, which begins with the first workflow task's due time."""
    return None if timeout is None else now + start_delay + timeout


def deadline_failure(workflow: str) -> Failure:
    """The failure of an instance past its deadline."""
    return plain_failure("DeadlineExceeded", f"workflow {workflow} outlived its timeout", permanent=True)


def losses_reason() -> str:
    """Why an instance is stuck that lost its workers in a row."""
    return f"{LOSSES_IN_A_ROW} workers in a row were lost during its workflow task; it waits for resume"


def waits_until(
    scheduled_at: Micros, due_at: Micros, total_timeout: Micros | None, queue_timeout: Micros | None
) -> tuple[Micros, str] | None:
    """Until when an activity may wait for a worker, and which option says so; None is for ever."""
    limits: list[tuple[Micros, str]] = []
    if total_timeout is not None:
        limits.append((scheduled_at + total_timeout, "total_timeout"))
    if queue_timeout is not None:
        limits.append((due_at + queue_timeout, "queue_timeout"))
    return min(limits, default=None)


def open_until(
    scheduled_at: Micros,
    began_at: Micros,
    heard_at: Micros,
    *,
    total_timeout: Micros | None,
    timeout: Micros | None,
    heartbeat_timeout: Micros | None,
) -> Micros | None:
    """Until when the end of an attempt may come from outside, if nothing more is heard; None is for ever."""
    limits = ((scheduled_at, total_timeout), (began_at, timeout), (heard_at, heartbeat_timeout))
    return min((start + length for start, length in limits if length is not None), default=None)


def end_of_open(
    name: str,
    attempt: int,
    retry: StoredRetry,
    now: Micros,
    *,
    total_deadline_at: Micros | None,
    deadline_at: Micros | None,
    chance: Callable[[], float],
) -> ActivityFailure | ActivityRetry:
    """How an attempt ends past `open_until`; `deadline_at` is that of its own `timeout`."""
    if total_deadline_at is not None and total_deadline_at <= now:
        return ActivityFailure(ran_out(name, attempt, "total_timeout"))
    which = "timeout" if deadline_at is not None and deadline_at <= now else "heartbeat_timeout"
    failure = ran_out(name, attempt, which)
    return after_failure(
        name, attempt, failure, retry=retry, now=now, total_deadline_at=total_deadline_at, chance=chance
    )


def end_of_failed(
    name: str,
    attempt: int,
    failure: Failure,
    retry: StoredRetry,
    now: Micros,
    *,
    total_deadline_at: Micros | None,
    cancel_requested: bool,
    chance: Callable[[], float],
) -> ActivityFailure | ActivityRetry:
    """How an attempt ends that failed, as somebody outside says. As in a worker, what is cancelled isn't tried again."""
    if cancel_requested:
        return ActivityFailure(failure, cancelled=failure.is_type("CancelledError"))
    return after_failure(
        name, attempt, failure, retry=retry, now=now, total_deadline_at=total_deadline_at, chance=chance
    )


def worker_lost(number: int, name: str, attempt: int, last: Failure | None, now: Micros) -> ActivityFailed:
    """The end of an activity that lost its workers in a row."""
    failure = plain_failure("WorkerLost", f"{LOSSES_IN_A_ROW} workers in a row were lost while they ran {name}")
    return ActivityFailed(at=now, number=number, failure=_because(failure, last), attempts=attempt)


def waited_too_long(
    number: int, name: str, attempt: int, last: Failure | None, now: Micros, which: str
) -> ActivityFailed:
    """The end of a waiting activity past `which`, its queue_timeout or total_timeout; attempt `attempt` never began."""
    failure = plain_failure("ActivityTimeout", f"activity {name} ran into its {which} while nobody ran it")
    return ActivityFailed(at=now, number=number, failure=_because(failure, last), attempts=attempt - 1)


def cancelled_unstarted(number: int, name: str, attempt: int, now: Micros) -> ActivityFailed:
    """The end of an activity that was to be told of its cancel and that no worker had."""
    failure = plain_failure("CancelledError", f"activity {name} was cancelled before it began", module="asyncio")
    return ActivityFailed(at=now, number=number, failure=failure, attempts=attempt - 1, cancelled=True)


def cancel_child(now: Micros) -> CancelRequested:
    """What parent_close=cancel sends."""
    return CancelRequested(at=now, reason=PARENT_CLOSED)


def _because(failure: Failure, last: Failure | None) -> Failure:
    return failure if last is None else msgspec.structs.replace(failure, cause=last)
