"""Transitions and their parts with defaults, so that a test names only what it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from perdure.clock import random_id
from perdure.model.checkpoint import (
    Checkpoint,
    Closing,
    NewActivity,
    NextExecution,
    SendCancel,
    SendSignal,
    StartSubWorkflow,
)
from perdure.model.event import (
    CancelRequested,
    CarriedSignal,
    Event,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionFailed,
    ExecutionStarted,
    PatchMarked,
    SignalReceived,
    UpdateAccepted,
    UpdateRequested,
)
from perdure.model.failure import Failure, plain_failure
from perdure.model.instance import State
from perdure.model.retry import RetryPolicy, StoredRetry, stored_retry
from perdure.model.task import PendingPayload, WorkflowTask
from perdure.model.transition import AppendEvent, CompleteWorkflowTask, CreateInstance, FirstStep, FusedResult, Offer

RETRY: StoredRetry = stored_retry(RetryPolicy())
FAILURE: Failure = Failure(
    types=("shop.errors:PaymentDeclined", "builtins:Exception"),
    message="no cover 🙂",
    arguments=b'["no cover"]',
    traceback="Traceback …\n",
    cause=plain_failure("Broken", "at the bank", permanent=True),
    children=(plain_failure("Part", "of a group"),),
    permanent=True,
)
"""It must come back whole (the trap "the permanent flag lost when an error is wrapped")."""


STEPPED_AT = 1_600_000_000_000_001
"""When first steps were applied, by their worker's clock: history keeps it as it is."""


def started(workflow: str = "checkout", arguments: bytes = b"[1]", *, number: int = 1) -> ExecutionStarted:
    return ExecutionStarted(at=0, workflow=workflow, arguments=arguments, python="3.12", execution_number=number)


def create(instance_id: str = "order-1", *, workflow: str = "checkout", **changes: Any) -> CreateInstance:
    fields: dict[str, Any] = {
        "request_id": random_id(),
        "instance_id": instance_id,
        "execution_id": random_id(),
        "workflow": workflow,
        "queue": "default",
        "started": started(workflow),
        "digest": b"digest",
    }
    return CreateInstance(**{**fields, **changes})


def with_step(
    request: CreateInstance, offer: Offer | None, *commands: Event, release: bool = False, **parts: Any
) -> CreateInstance:
    """The request with its first step, which has applied the start with the signals that it carries."""
    carried = tuple(CarriedSignal(signal.name, signal.payload) for signal in request.signals)
    applied = msgspec.structs.replace(request.started, at=STEPPED_AT, carried=carried)
    fields: dict[str, Any] = {"position": 0, **parts}
    checkpoint = Checkpoint(events=(applied, *commands, *_end_of(parts.get("closing"))), **fields)
    step = FirstStep(checkpoint=checkpoint, offer=offer, release=release)
    return msgspec.structs.replace(request, first_step=step)


def signal(name: str = "approval", payload: bytes = b"true") -> SignalReceived:
    return SignalReceived(at=0, name=name, payload=payload)


def append_signal(instance_id: str = "order-1", name: str = "approval", **changes: Any) -> AppendEvent:
    fields: dict[str, Any] = {"message_id": random_id(), "instance_id": instance_id, "event": signal(name)}
    return AppendEvent(**{**fields, **changes})


def append_cancel(instance_id: str = "order-1", reason: str = "") -> AppendEvent:
    return AppendEvent(message_id=random_id(), instance_id=instance_id, event=CancelRequested(at=0, reason=reason))


def append_update(instance_id: str = "order-1", name: str = "approve") -> AppendEvent:
    event = UpdateRequested(at=0, update_id=random_id(), name=name, arguments=b"[1]", reply_to=random_id())
    return AppendEvent(message_id=random_id(), instance_id=instance_id, event=event)


def activity(number: int = 1, *, name: str = "charge", queue: str = "default", **changes: Any) -> NewActivity:
    fields: dict[str, Any] = {"arguments": b"[1]", "priority": 0, "retry": RETRY}
    return NewActivity(number=number, name=name, queue=queue, **{**fields, **changes})


def sub_workflow(instance_id: str = "child-1", number: int = 1, **changes: Any) -> StartSubWorkflow:
    fields: dict[str, Any] = {
        "message_id": random_id(),
        "number": number,
        "instance_id": instance_id,
        "execution_id": random_id(),
        "workflow": "ship",
        "queue": "default",
        "priority": 0,
        "started": started("ship"),
        "digest": b"child",
        "version": None,
    }
    return StartSubWorkflow(**{**fields, **changes})


def send_signal(instance_id: str, number: int = 1, **changes: Any) -> SendSignal:
    fields: dict[str, Any] = {"message_id": random_id(), "signal": signal()}
    return SendSignal(number=number, instance_id=instance_id, **{**fields, **changes})


def send_cancel(instance_id: str, child_number: int, **changes: Any) -> SendCancel:
    fields: dict[str, Any] = {"message_id": random_id(), "cancel": CancelRequested(at=0, reason="parent asked")}
    return SendCancel(instance_id=instance_id, child_number=child_number, **{**fields, **changes})


def completed(result: bytes = b'"done"') -> Closing:
    return Closing(state=State.COMPLETED, result=result)


def failed(failure: Failure = FAILURE) -> Closing:
    return Closing(state=State.FAILED, failure=failure)


def cancelled() -> Closing:
    return Closing(state=State.CANCELLED)


def continued(number: int = 2, workflow: str = "checkout", arguments: bytes = b"[2]") -> Closing:
    following = NextExecution(
        execution_id=random_id(),
        workflow=workflow,
        started=started(workflow, arguments, number=number),
        digest=b"next",
    )
    return Closing(state=State.CONTINUED_AS_NEW, following=following)


def marked(number: int = 1) -> PatchMarked:
    """A command event for checkpoints that need one but are about something else."""
    return PatchMarked(number=number, patch_id="a patch")


def applied(task: WorkflowTask) -> tuple[Event, ...]:
    """The task's pending events as history has them."""
    return tuple(_in_history(pending.event) for pending in task.pending)


def _in_history(event: PendingPayload) -> Event:
    if not isinstance(event, UpdateRequested):
        return event
    return UpdateAccepted(at=event.at, update_id=event.update_id, name=event.name, arguments=event.arguments)


def checkpoint(task: WorkflowTask, *commands: Event, **parts: Any) -> Checkpoint:
    """A checkpoint that applies all of the task's pending events, unless `events` and `consumed` say otherwise."""
    events: tuple[Event, ...] = parts.pop("events", applied(task))
    fields: dict[str, Any] = {
        "position": task.position,
        "consumed": tuple(pending.id for pending in task.pending if pending.id),
        **parts,
    }
    return Checkpoint(events=(*events, *commands, *_end_of(parts.get("closing"))), **fields)


def completion(task: WorkflowTask, *commands: Event, **parts: Any) -> CompleteWorkflowTask:
    """The task's checkpoint as its worker commits it."""
    return CompleteWorkflowTask(
        instance_key=task.instance_key, token=task.token, checkpoint=checkpoint(task, *commands, **parts)
    )


def _end_of(closing: Closing | None) -> tuple[Event, ...]:
    if closing is None:
        return ()
    if closing.following is not None:
        following = closing.following
        event = ExecutionContinued(
            workflow=following.workflow, arguments=following.started.arguments, digest=following.digest
        )
        return (event,)
    if closing.failure is not None:
        return (ExecutionFailed(failure=closing.failure),)
    return (ExecutionCompleted(result=closing.result or b""),)


def fused(activity_key: int, token: int) -> tuple[FusedResult, ...]:
    return (FusedResult(activity_key, token),)


def without_workflow_task(offer: Offer) -> Offer:
    return msgspec.structs.replace(offer, workflow_task=False)
