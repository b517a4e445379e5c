"""All that one workflow task changes, as the engine hands it to a store: pure data, one transaction."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perdure.clock import Micros
from perdure.model.event import CancelRequested, Event, ExecutionStarted, SignalReceived
from perdure.model.failure import Failure
from perdure.model.instance import State
from perdure.model.options import ParentClose
from perdure.model.retention import StoredRetention
from perdure.model.retry import StoredRetry


class NewActivity(msgspec.Struct, frozen=True, kw_only=True):
    """An activity to run. Lengths of time are microseconds from the commit."""

    number: int
    name: str
    arguments: bytes
    queue: str
    priority: int
    retry: StoredRetry
    timeout: Micros | None = None
    total_timeout: Micros | None = None
    queue_timeout: Micros | None = None
    heartbeat_timeout: Micros | None = None
    headers: dict[str, str] = {}


class CancelActivity(msgspec.Struct, frozen=True):
    """Workflow code gives this activity up; it is removed if no worker has it.

    Not `told`: the end of one that runs is dropped. `told`: its worker is told, or whoever is to end it from outside by
    its next heartbeat, and its end still comes; one that nobody has ends at once as `ActivityFailed(cancelled=True)`, so that whoever waits on gets an answer in any case.
    """

    number: int
    told: bool


class StartSubWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """Create an instance; if its id is taken, `SubWorkflowFailed(refused=True)` comes back to the sender."""

    message_id: bytes
    number: int
    instance_id: str
    execution_id: bytes
    workflow: str
    queue: str
    priority: int
    started: ExecutionStarted
    digest: bytes
    version: str | None
    timeout: Micros | None = None
    start_delay: Micros = 0
    tags: Mapping[str, str] = {}
    parent_close: ParentClose = ParentClose.CANCEL
    """What the end of the sender's execution, of whatever kind, does to the instance if it still runs then."""
    retention: StoredRetention | None = None
    replaces_failed: bool = False
    """A retry: an instance of this id that ended without a result makes way."""


class SendSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Signal an instance; the answer is SignalDelivered or SignalRefused with `number`."""

    message_id: bytes
    number: int
    instance_id: str
    signal: SignalReceived


class SendCancel(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a sub-workflow to cancel; nothing comes back. One that has ended takes no notice."""

    message_id: bytes
    instance_id: str
    child_number: int
    """The command that started it: an instance of that id which isn't this child is left alone."""
    cancel: CancelRequested


Message = StartSubWorkflow | SendSignal | SendCancel


class NextExecution(msgspec.Struct, frozen=True, kw_only=True):
    """What continue-as-new begins. Signals and cancels that arrived since the claim go with it."""

    execution_id: bytes
    workflow: str
    started: ExecutionStarted
    digest: bytes


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an execution.

    The store removes its activities that no worker has (the others' results are dropped), its pending results (its
    pending signals and cancels go on to `following`), gives its sub-workflows that still run their parent_close, and
    tells the parent, unless `following` goes on in its place.
    """

    state: State
    result: bytes | None = None
    failure: Failure | None = None
    following: NextExecution | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Follows history position `position`; `events` are appended to it in order.

    `next_timer_at` is when the execution's next timer is due: the instance's next workflow task is due then, or at
    once if pending events are left. `consumed` are the ids of pending events that `events` now holds.
    """

    position: int
    events: tuple[Event, ...]
    consumed: tuple[int, ...] = ()
    next_timer_at: Micros | None = None
    activities: tuple[NewActivity, ...] = ()
    cancelled_activities: tuple[CancelActivity, ...] = ()
    messages: tuple[Message, ...] = ()
    published: Mapping[str, bytes] = {}
    closing: Closing | None = None
