"""Rows in memory: what the store reads from a table, changes, and writes back.

`phase` is what the indexes for claims are made on (schema.py): an instance or activity is READY if any worker that serves
its queue may claim it, WAITING if it may so from a moment on, HELD if its holder may, now or from a moment on, else IDLE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from perdure.backends.admission import Rank
from perdure.clock import Micros
from perdure.errors import StoreCorrupt
from perdure.model.event import ExecutionStarted
from perdure.model.failure import Failure
from perdure.model.instance import Parent, State
from perdure.model.retention import StoredRetention
from perdure.model.retry import StoredRetry
from perdure.model.task import ActivityTask, PendingEvent, PendingPayload, WorkflowTask

IDLE, READY, WAITING, HELD = 0, 1, 2, 3

LEASED, STEPPED, ENDED, BEGUN, RESHAPED = range(5)
"""What of a row has changed: its lease; what a workflow step changes; what an end changes; `started` is applied; anything.

Each has more than the last one, but that a row both ENDED and BEGUN since it was written is RESHAPED.
"""

STATES = (State.RUNNING, State.COMPLETED, State.FAILED, State.CANCELLED, State.TERMINATED, State.CONTINUED_AS_NEW)
"""A state's place here is its number in the tables."""

STATE_NUMBERS = {state: number for number, state in enumerate(STATES)}

encode = msgspec.msgpack.Encoder().encode
_decode_started = msgspec.msgpack.Decoder(ExecutionStarted).decode
_decode_pending: Callable[[bytes], PendingPayload] = msgspec.msgpack.Decoder(PendingPayload).decode
_decode_retention = msgspec.msgpack.Decoder(StoredRetention).decode
_decode_failure = msgspec.msgpack.Decoder(Failure).decode


class StoredOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How an instance ended, beside its state."""

    result: bytes | None = None
    failure: Failure | None = None
    reason: str = ""


class ActivityBody(msgspec.Struct, frozen=True, array_like=True):
    """What of an activity never changes and isn't searched for."""

    arguments: bytes
    retry: StoredRetry
    timeout: Micros | None = None
    total_timeout: Micros | None = None
    queue_timeout: Micros | None = None
    heartbeat_timeout: Micros | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing that most don't have."""
        return (
            self.timeout is None and self.total_timeout is None and self.heartbeat_timeout is None and not self.headers
        )


_decode_outcome = msgspec.msgpack.Decoder(StoredOutcome).decode
_decode_body = msgspec.msgpack.Decoder(ActivityBody).decode


def decode_pending(row: bytes) -> PendingPayload:
    """Raises StoreCorrupt."""
    try:
        return _decode_pending(row)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a pending event can't be read: {problem}") from problem


def decode_failure(row: bytes | None) -> Failure | None:
    """Raises StoreCorrupt."""
    if row is None:
        return None
    try:
        return _decode_failure(row)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a failure can't be read: {problem}") from problem


def decode_outcome(row: bytes | None) -> StoredOutcome:
    """Raises StoreCorrupt."""
    if row is None:
        return StoredOutcome()
    try:
        return _decode_outcome(row)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"an outcome can't be read: {problem}") from problem


def decode_retention(row: bytes | None) -> StoredRetention | None:
    """Raises StoreCorrupt."""
    try:
        return None if row is None else _decode_retention(row)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a retention can't be read: {problem}") from problem


def decode_body(row: bytes) -> ActivityBody:
    """Raises StoreCorrupt."""
    try:
        return _decode_body(row)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"an activity can't be read: {problem}") from problem


def decode_started(row: bytes) -> ExecutionStarted:
    """Raises StoreCorrupt."""
    try:
        return _decode_started(row)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"the start of an execution can't be read: {problem}") from problem


class InstanceRow(msgspec.Struct, eq=False, gc=False):
    """A row of perdure_instances; what follows `remove_at` isn't a column."""

    key: int
    instance_id: str
    execution_id: bytes
    workflow: str
    queue: str
    priority: int
    version: str | None
    created_at: Micros
    updated_at: Micros
    began_at: Micros
    """When the current execution was created."""
    deadline_at: Micros | None
    request_id: bytes
    digest: bytes
    wake_at: Micros | None
    tags: str | None
    started: bytes | None
    """ExecutionStarted until the first checkpoint has applied it."""
    parent_id: str | None = None
    parent_execution: bytes | None = None
    parent_number: int | None = None
    parent_close: str | None = None
    execution_number: int = 1
    state: int = 0
    ended_at: Micros | None = None
    created_workflow: str | None = None
    """Of the first execution, if continue-as-new has changed it; so `created_digest`."""
    created_digest: bytes | None = None
    position: int = 0
    history_bytes: int = 0
    open_activities: int = 0
    """Rows of perdure_activities, dropped ones included."""
    children: int = 0
    """How many sub-workflows the current execution has started."""
    pending_count: int = 0
    next_pending: int = 1
    worker: int | None = None
    token: int | None = None
    claimed: int = 0
    suspended: int = 0
    stuck_reason: str | None = None
    stuck_attempts: int = 0
    lost: int = 0
    phase: int = 0
    outcome: bytes | None = None
    retention: bytes | None = None
    """A StoredRetention."""
    remove_at: Micros | None = None
    """Of an ended one that isn't kept for ever."""

    revision: int = 0
    """Drawn anew with each write, where several write: a row that was read is unchanged while it stands there."""
    indexed: Mapping[tuple[bytes, bytes], int] | None = None
    """Where the indexes have it, in a store whose indexes are its own."""
    started_event: ExecutionStarted | None = None
    pending: list[PendingEvent] | None = None
    """None: not read yet, there are some."""
    is_new: bool = False
    shape: int = 0
    """What has changed since it was written."""

    @property
    def is_running(self) -> bool:
        return self.state == 0

    @property
    def parent(self) -> Parent | None:
        if self.parent_id is None or self.parent_execution is None or self.parent_number is None:
            return None
        return Parent(self.parent_id, self.parent_execution, self.parent_number)

    def phase_at(self, now: Micros) -> int:
        """What `phase` must be now."""
        wake_at = self.wake_at
        if wake_at is None or self.claimed or self.state or self.suspended:
            return IDLE
        if self.worker is not None:
            return HELD
        return WAITING if wake_at > now else READY

    def first_pending(self) -> tuple[PendingEvent, ...]:
        """ExecutionStarted, while it is still to be applied. Raises StoreCorrupt."""
        if self.started is None:
            return ()
        if self.started_event is None:
            self.started_event = decode_started(self.started)
        return (PendingEvent(0, self.started_event),)

    def as_task(self, now: Micros, pending: tuple[PendingEvent, ...]) -> WorkflowTask:
        """The workflow task of a row that is leased."""
        assert self.token is not None
        return WorkflowTask(
            instance_key=self.key,
            instance_id=self.instance_id,
            execution_id=self.execution_id,
            workflow=self.workflow,
            queue=self.queue,
            priority=self.priority,
            version=self.version,
            parent=None if self.parent_id is None else self.parent,
            token=self.token,
            position=self.position,
            history_bytes=self.history_bytes,
            now=now,
            pending=pending,
            created_at=self.created_at,
            deadline_at=self.deadline_at,
            stuck_attempts=self.stuck_attempts,
        )


class ActivityRow(msgspec.Struct, eq=False, gc=False):
    """A row of perdure_activities; what follows `details` isn't a column."""

    key: int
    instance_key: int
    execution_number: int
    number: int
    name: str
    queue: str
    priority: int
    scheduled_at: Micros
    due_at: Micros
    expires_at: Micros | None
    """Until when it may wait for a worker, or for its end from outside."""
    limited: int
    """Its queue has limits, so that leases on it are counted."""
    body: bytes
    worker: int | None = None
    token: int | None = None
    attempt: int = 1
    lost: int = 0
    cancel_requested: int = 0
    orphaned: int = 0
    """Nobody waits for its end any more."""
    phase: int = 0
    last_failure: bytes | None = None
    details: bytes | None = None

    revision: int = 0
    indexed: Mapping[tuple[bytes, bytes], int] | None = None
    decoded_body: ActivityBody | None = None
    is_new: bool = False

    @property
    def rank(self) -> Rank:
        return (-self.priority, self.instance_key, self.number)

    @property
    def is_open(self) -> bool:
        """Whether its end is to come from outside: `due_at` is then when the attempt began."""
        return self.worker is None and self.token is not None

    @property
    def is_fresh(self) -> bool:
        """Whether it is as it was made, but for its lease."""
        return (
            self.attempt == 1
            and self.due_at == self.scheduled_at
            and not (self.lost or self.cancel_requested or self.orphaned or self.details)
        )

    @property
    def fixed(self) -> ActivityBody:
        """What never changes. Raises StoreCorrupt."""
        if self.decoded_body is None:
            self.decoded_body = decode_body(self.body)
        return self.decoded_body

    @property
    def total_deadline_at(self) -> Micros | None:
        """When all its attempts must be over. Raises StoreCorrupt."""
        total = self.fixed.total_timeout
        return None if total is None else self.scheduled_at + total

    def phase_at(self, now: Micros, *, suspended: int) -> int:
        """What `phase` must be now; `suspended` is the instance's."""
        if self.token is not None or suspended:
            return IDLE
        return WAITING if self.due_at > now else READY

    def as_task(self, instance: InstanceRow, token: int, now: Micros) -> ActivityTask:
        """The task of a row that is to be leased. Raises StoreCorrupt."""
        fixed = self.fixed
        # CPython puts more than fifteen keywords into a dict first, which would cost a task four times as much.
        task = ActivityTask(
            activity_key=self.key,
            token=token,
            instance_key=self.instance_key,
            instance_id=instance.instance_id,
            execution_id=instance.execution_id,
            workflow=instance.workflow,
            number=self.number,
            name=self.name,
            arguments=fixed.arguments,
            queue=self.queue,
            priority=self.priority,
            attempt=self.attempt,
            retry=fixed.retry,
            scheduled_at=self.scheduled_at,
            now=now,
        )
        if fixed.is_plain and self.is_fresh:
            return task
        return msgspec.structs.replace(
            task,
            timeout=fixed.timeout,
            total_deadline_at=self.total_deadline_at,
            heartbeat_timeout=fixed.heartbeat_timeout,
            heartbeat_details=self.details,
            last_failure=None if self.last_failure is None else decode_failure(self.last_failure),
            headers=fixed.headers,
            cancel_requested=bool(self.cancel_requested),
        )


INSTANCE_COLUMNS = InstanceRow.__struct_fields__[: InstanceRow.__struct_fields__.index("remove_at") + 1]
ACTIVITY_COLUMNS = ActivityRow.__struct_fields__[: ActivityRow.__struct_fields__.index("details") + 1]


def instance_values(row: InstanceRow) -> tuple[Any, ...]:
    """In the order of INSTANCE_COLUMNS."""
    return astuple(row)[: len(INSTANCE_COLUMNS)]


def activity_values(row: ActivityRow) -> tuple[Any, ...]:
    """In the order of ACTIVITY_COLUMNS."""
    return astuple(row)[: len(ACTIVITY_COLUMNS)]
