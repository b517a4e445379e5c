"""What can be asked of a store's `commit`, and the outcome of each.

A transition is typed by its outcome: `Transition[Created]` gives a `Created`, or raises. Where an outcome has several
forms, they are its subclasses or a union; an outcome that is the caller's fault or bad luck (a taken id, a lost lease)
is data, not an exception: a batch has many transitions and each has its own outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from perdure.clock import Micros
from perdure.model.checkpoint import Checkpoint
from perdure.model.event import ExecutionStarted, Sent, SignalReceived
from perdure.model.failure import Failure
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.retention import StoredRetention
from perdure.model.task import ActivityTask, WorkflowTask

O_co = TypeVar("O_co", covariant=True)


class Transition(msgspec.Struct, Generic[O_co], frozen=True, kw_only=True):
    """One change, whole or not at all."""


class Offer(msgspec.Struct, frozen=True):
    """What the committing worker has free: ready work may come back leased to it."""

    worker_key: int
    activity_queues: tuple[str, ...] = ()
    activities: int = 0
    """How many activity tasks it takes; it has reserved the slots."""
    activity_names: frozenset[str] = frozenset()
    workflow_task: bool = False
    """Whether it takes the next workflow task of the instance that the transition is about."""


class Existing(msgspec.Struct, frozen=True, kw_only=True):
    """The id is taken by this instance. `workflow` and `digest` are those it was created with, before any continue-as-new."""

    instance_id: str
    state: State
    workflow: str
    digest: bytes
    """Of its arguments."""


class Checkpointed(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint is durable.

    `activities` and `workflow_task` came back to the worker under leases of its own. `events_bytes` is what the
    history grew by.
    """

    activities: tuple[ActivityTask, ...] = ()
    workflow_task: WorkflowTask | None = None
    events_bytes: int = 0


# --- create ---------------------------------------------------------------------------------------------------------


class FirstStep(msgspec.Struct, frozen=True, kw_only=True):
    """The first workflow task of an instance that isn't there yet: workflow code has run one step ahead of the store.

    `checkpoint` follows position 0 and begins with the ExecutionStarted as it was applied. `release` as in
    CompleteWorkflowTask; `offer` names the worker. Without an offer it is no worker's, and is taken whoever waits: how a fork begins.
    """

    checkpoint: Checkpoint
    offer: Offer | None
    release: bool = False


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A new instance, or the one that the same request made before.

    `first` is there if the first step was taken with it; the worker holds the instance under `token` then.
    """

    instance_key: int
    execution_id: bytes
    token: int = 0
    first: Checkpointed | None = None


class CreateInstance(Transition[Created | Existing], frozen=True, kw_only=True):
    """Create an instance, with signals that its first step finds: ExecutionStarted carries them.

    Repeating a `request_id` is success. `if_exists` USE on a taken id gives `Existing`, and appends the signals, once per
    request, if that instance runs and was created with the same workflow and digest; RESTART puts the new one in the
    place of an ended one, whose rows all go. A first workflow task is due after `start_delay`, these signals or not; what
    arrives later ends the delay. `timeout` counts from the end of `start_delay`.
    """

    request_id: bytes
    instance_id: str
    execution_id: bytes
    workflow: str
    queue: str
    started: ExecutionStarted
    digest: bytes
    priority: int = 0
    version: str | None = None
    timeout: Micros | None = None
    start_delay: Micros = 0
    tags: Mapping[str, str] = {}
    retention: StoredRetention | None = None
    if_exists: IfExists = IfExists.RAISE
    signals: tuple[SignalReceived, ...] = ()
    first_step: FirstStep | None = None


# --- append ---------------------------------------------------------------------------------------------------------


class Appended(msgspec.Struct, frozen=True):
    """The event stands in the instance's queue, or did already (same message id).

    `workflow_task` came back to the offering worker, under its lease.
    """

    workflow_task: WorkflowTask | None = None


class NotAppended(msgspec.Struct, frozen=True):
    """Nobody took it: `state` is that of the ended instance, None if there is none."""

    state: State | None


class AppendEvent(Transition[Appended | NotAppended], frozen=True, kw_only=True):
    """Signal, cancel or update an instance. The message id is remembered for `keep`."""

    message_id: bytes
    instance_id: str
    event: Sent
    keep: Micros = 7 * 24 * 3600 * 1_000_000
    offer: Offer | None = None
    """Of the instance's workflow task alone."""


# --- workflow task --------------------------------------------------------------------------------------------------


class Rejected(msgspec.Struct, frozen=True):
    """A fence didn't hold; nothing was written. `reason` is for the log."""

    reason: str


class FusedResult(msgspec.Struct, frozen=True):
    """The activity attempt whose result the checkpoint has applied; its token must hold too."""

    activity_key: int
    token: int


class CompleteWorkflowTask(Transition[Checkpointed | Rejected], frozen=True, kw_only=True):
    """Write a checkpoint. Token, history position and each fused result's token must hold, or all is rejected.

    `release` gives the instance's lease back with it; else the worker keeps it, having the execution in memory.
    """

    instance_key: int
    token: int
    checkpoint: Checkpoint
    fused: tuple[FusedResult, ...] = ()
    release: bool = False
    offer: Offer | None = None


class ReleaseInstance(Transition[bool], frozen=True, kw_only=True):
    """Give an instance's lease back without a checkpoint; what was pending stays so. False if it was gone already."""

    instance_key: int
    token: int


class MarkStuck(Transition[bool], frozen=True, kw_only=True):
    """The workflow task can't be done. `retry_in` is when it is due again; None waits for resume. The lease goes back."""

    instance_key: int
    token: int
    reason: str
    retry_in: Micros | None


# --- activity task --------------------------------------------------------------------------------------------------


class ActivityResult(msgspec.Struct, frozen=True):
    """It returned."""

    result: bytes


class ActivityFailure(msgspec.Struct, frozen=True):
    """It failed for good."""

    failure: Failure
    cancelled: bool = False


class ActivityRetry(msgspec.Struct, frozen=True):
    """It failed and is due again in `delay` with the next attempt number."""

    failure: Failure
    delay: Micros


class ActivityReleased(msgspec.Struct, frozen=True):
    """It wasn't done; another worker may have it at once. Doesn't count as an attempt, nor as a lost one."""


class ActivityOpened(msgspec.Struct, frozen=True):
    """Its function has returned without an end: that comes from outside, under the same token.

    No worker has the attempt any longer, so that none can lose it, and it takes no permit of its queue. `elapsed` is how
    long it has run: its `timeout` goes on, its `heartbeat_timeout` begins anew. A repetition changes nothing.
    """

    elapsed: Micros


class AttemptFailed(msgspec.Struct, frozen=True):
    """It failed, says somebody who doesn't know its retry policy: the store goes by that."""

    failure: Failure


AttemptEnd = ActivityResult | ActivityFailure | ActivityRetry | ActivityReleased | ActivityOpened | AttemptFailed


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt's end is durable. `workflow_task` came back to the worker, under its lease."""

    workflow_task: WorkflowTask | None = None


class CompleteActivityTask(Transition[Recorded | Rejected], frozen=True, kw_only=True):
    """Record how an attempt ended; its token must hold. An end for an execution that has ended is dropped: success."""

    activity_key: int
    token: int
    end: AttemptEnd
    offer: Offer | None = None


class Heartbeat(msgspec.Struct, frozen=True):
    """The answer to RecordHeartbeat."""

    is_held: bool
    """Whether the lease still holds."""
    cancel_requested: bool = False


class RecordHeartbeat(Transition[Heartbeat], frozen=True, kw_only=True):
    """A running attempt is alive. Details are kept for the next one; None leaves those of before."""

    activity_key: int
    token: int
    details: bytes | None


# --- operators ------------------------------------------------------------------------------------------------------
# Terminate, Suspend and Resume take the next history position and end the instance's lease, as a passed deadline does.


class Administered(msgspec.Struct, frozen=True):
    """Done, or so already."""


class Terminate(Transition[Administered | NotAppended], frozen=True, kw_only=True):
    """End an instance at once, without clean-up: its parent is told, its sub-workflows get their parent_close."""

    instance_id: str
    reason: str = ""


class Suspend(Transition[Administered | NotAppended], frozen=True, kw_only=True):
    """No workflow task and no new activity attempt of the instance begins until Resume."""

    instance_id: str


class Resume(Transition[Administered | NotAppended], frozen=True, kw_only=True):
    """Undo Suspend, and try a stuck instance again at once."""

    instance_id: str


class RetryActivityNow(Transition[Administered | NotAppended], frozen=True, kw_only=True):
    """An activity that waits for its next attempt is due at once."""

    instance_id: str
    number: int


class Remove(Transition["Administered | NotRemoved"], frozen=True, kw_only=True):
    """Remove everything of an ended instance."""

    instance_id: str


class NotRemoved(msgspec.Struct, frozen=True):
    """It runs (`state`) or doesn't exist (None)."""

    state: State | None


# --- claim ----------------------------------------------------------------------------------------------------------


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks under the worker's lease. `next_due_at` is when more will be due that the worker could claim, if known.

    `told` are (activity key, token) of running activities of the worker whose cancellation was requested. `is_uncertain`:
    the answer to a part of the claim was lost, and the worker may hold more than this.
    """

    workflow_tasks: tuple[WorkflowTask, ...] = ()
    activity_tasks: tuple[ActivityTask, ...] = ()
    next_due_at: Micros | None = None
    now: Micros = 0
    told: tuple[tuple[int, int], ...] = ()
    is_uncertain: bool = False


class ClaimTasks(Transition[Claimed], frozen=True, kw_only=True):
    """Lease due work: highest priority first, then the oldest instance.

    Instances that the worker holds already (in memory, idle) come too when something is due for them. Of those whose
    workflow task was lost with three workers in a row, or more, a worker has one at a time. Names that the worker doesn't
    know stay for others; `versions` None takes every version.
    """

    worker_key: int
    workflow_queues: tuple[str, ...]
    workflow_slots: int
    workflow_names: frozenset[str]
    activity_queues: tuple[str, ...]
    activity_slots: int
    activity_names: frozenset[str]
    versions: frozenset[str] | None = None
