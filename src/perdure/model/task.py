"""What a store hands to a worker: workflow tasks and activity tasks, each under a lease."""

from __future__ import annotations

import msgspec

from perdure.clock import Micros
from perdure.model.event import (
    ActivityCompleted,
    ActivityFailed,
    CancelRequested,
    ExecutionStarted,
    SignalDelivered,
    SignalReceived,
    SignalRefused,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    UpdateRequested,
)
from perdure.model.failure import Failure
from perdure.model.instance import Parent
from perdure.model.retry import StoredRetry

PendingPayload = (
    ExecutionStarted
    | SignalReceived
    | CancelRequested
    | ActivityCompleted
    | ActivityFailed
    | SubWorkflowCompleted
    | SubWorkflowFailed
    | SignalDelivered
    | SignalRefused
    | UpdateRequested
)
"""What can arrive for an instance. Its `at` is the store's time of arrival until it is applied."""


class PendingEvent(msgspec.Struct, frozen=True):
    """An event that has arrived and isn't in history yet.

    `id` counts what has arrived for the instance, without end, in order of arrival. The ExecutionStarted of an
    execution has id 0 and is never stored as pending: it stands in the instance's row, and comes with every task until
    the execution's first checkpoint (the position may be over 0 by then: administrative events).
    """

    id: int
    event: PendingPayload


class WorkflowTask(msgspec.Struct, frozen=True, kw_only=True):
    """Events have arrived, or a timer is due, for an instance: run it until it blocks.

    `position` is the length of its history, which the checkpoint must name; `token` fences it. `now` is the store's
    time of the claim. The history isn't here: a worker that doesn't have it reads it.
    """

    instance_key: int
    instance_id: str
    execution_id: bytes
    workflow: str
    queue: str
    priority: int
    version: str | None
    parent: Parent | None
    token: int
    position: int
    history_bytes: int
    now: Micros
    pending: tuple[PendingEvent, ...]
    created_at: Micros
    deadline_at: Micros | None = None
    stuck_attempts: int = 0
    """How often in a row this task made the instance stuck."""


class ActivityTask(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of an activity, leased. Lengths of time are microseconds."""

    activity_key: int
    token: int
    instance_key: int
    instance_id: str
    execution_id: bytes
    workflow: str
    number: int
    """The command's number in its execution."""
    name: str
    arguments: bytes
    queue: str
    priority: int
    attempt: int
    """From 1; attempts lost with their worker don't count."""
    retry: StoredRetry
    scheduled_at: Micros
    now: Micros
    timeout: Micros | None = None
    total_deadline_at: Micros | None = None
    heartbeat_timeout: Micros | None = None
    heartbeat_details: bytes | None = None
    last_failure: Failure | None = None
    headers: dict[str, str] = {}
    cancel_requested: bool = False
