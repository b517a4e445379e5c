"""The events of a history.

History is interleaved: an *applied* event, then the *commands* that workflow code issued because of it, then the next
applied event. Replay feeds the applied ones and compares the commands. *Administrative* events were written by an
operator's or the store's hand; replay passes over them.

Events are stored as MessagePack arrays whose first element is the tag. Fields are only ever added at the end, with a
default; a tag is never used again. Instants and lengths of time are microseconds.
"""

from __future__ import annotations

import msgspec

from perdure.clock import Micros
from perdure.model.failure import Failure


class CarriedSignal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A signal that an execution left unread and the next one takes over."""

    name: str
    payload: bytes


class Origin(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Whose history the first events are, up to `until`: what the code was told of itself then, it is told in a replay."""

    until: int
    instance_id: str
    execution_id: bytes
    created_at: Micros
    deadline_at: Micros | None = None
    parent_instance_id: str | None = None


class AppliedEvent(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Something that happened to the execution; `at` is the time of its application, never going back."""

    at: Micros


class ExecutionStarted(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=1):
    workflow: str
    arguments: bytes
    python: str
    """The minor version of Python that the history is made on, as in "3.12"; set when it is applied."""
    version: str | None = None
    """App(version=) of who started it."""
    carried: tuple[CarriedSignal, ...] = ()
    headers: dict[str, str] = {}
    """What propagators carry."""
    execution_number: int = 1
    """Counts the executions of the instance, from 1."""
    due_at: Micros | None = None
    """When it was due, if a schedule started the instance."""
    origins: tuple[Origin, ...] = ()
    """Of a fork, those before it, the first one first."""


class SignalReceived(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=2):
    name: str
    payload: bytes
    headers: dict[str, str] = {}
    """Who sent it, for traces."""


class CancelRequested(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=3):
    reason: str = ""


class ActivityCompleted(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=4, gc=False):
    number: int
    result: bytes
    attempts: int = 1
    """How many it took; those that were lost with their workers don't count."""


class ActivityFailed(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=5):
    number: int
    failure: Failure
    attempts: int = 1
    cancelled: bool = False
    """It ended by CancelledError."""


class TimerFired(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=6, gc=False):
    number: int


class SubWorkflowCompleted(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=7, gc=False):
    number: int
    result: bytes


class SubWorkflowFailed(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=8):
    number: int
    failure: Failure
    cancelled: bool = False
    """It ended CANCELLED."""
    refused: bool = False
    """It never began: its id was taken."""


class SignalDelivered(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=9, gc=False):
    """The answer to SignalSent."""

    number: int


class SignalRefused(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=10):
    number: int
    failure: Failure


class ContinueSuggested(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=11, gc=False):
    """From here on `ctx.info.continue_as_new_suggested` is true."""


class UpdateRequested(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=12):
    """A client's update as it arrives. It never stands in history: accepted it is an UpdateAccepted, refused it is nothing."""

    update_id: bytes
    name: str
    arguments: bytes
    reply_to: bytes = b""
    """The question that its answer is for."""
    is_probe: bool = False
    """Asks what became of an earlier one, behind which it stands in line; it is never accepted itself."""


class UpdateAccepted(AppliedEvent, frozen=True, array_like=True, kw_only=True, tag=13):
    """The update passed its validator, and its handler begins."""

    update_id: bytes
    name: str
    arguments: bytes
    reply_to: bytes = b""


class CommandEvent(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What workflow code asked for. `number` counts the commands of an execution, from 1; dropped ones leave gaps."""

    number: int


class ActivityScheduled(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=32, gc=False):
    name: str
    arguments: bytes
    digest: bytes
    """The hash of the arguments' canonical encoding, before codecs."""
    queue: str


class ActivityCancelled(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=33, gc=False):
    """Workflow code no longer waits for the activity of this number."""

    told: bool = False
    """Its worker is told, and the running activity gets CancelledError."""


class TimerSet(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=34, gc=False):
    due_at: Micros


class TimerCancelled(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=35, gc=False):
    pass


class SubWorkflowScheduled(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=36, gc=False):
    workflow: str
    instance_id: str
    arguments: bytes
    digest: bytes
    queue: str


class SubWorkflowCancelled(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=37, gc=False):
    """The sub-workflow of this number was asked to cancel."""


class SignalSent(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=38, gc=False):
    instance_id: str
    name: str
    payload: bytes
    digest: bytes


class SideEffectRecorded(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=39):
    name: str
    result: bytes | None = None
    failure: Failure | None = None


class PatchMarked(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=40, gc=False):
    patch_id: str


class UpdateCompleted(CommandEvent, frozen=True, array_like=True, kw_only=True, tag=41):
    """The handler of an accepted update has returned or raised."""

    update_id: bytes
    result: bytes | None = None
    failure: Failure | None = None


class EndEvent(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The last event that workflow code leads to."""


class ExecutionCompleted(EndEvent, frozen=True, array_like=True, kw_only=True, tag=64, gc=False):
    result: bytes


class ExecutionFailed(EndEvent, frozen=True, array_like=True, kw_only=True, tag=65):
    failure: Failure


class ExecutionCancelled(EndEvent, frozen=True, array_like=True, kw_only=True, tag=66):
    pass


class ExecutionContinued(EndEvent, frozen=True, array_like=True, kw_only=True, tag=67):
    workflow: str
    arguments: bytes
    digest: bytes


class AdministrativeEvent(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Written by an operator or the store, at the store's time."""

    at: Micros


class Suspended(AdministrativeEvent, frozen=True, array_like=True, kw_only=True, tag=96):
    pass


class Resumed(AdministrativeEvent, frozen=True, array_like=True, kw_only=True, tag=97):
    pass


class MarkedStuck(AdministrativeEvent, frozen=True, array_like=True, kw_only=True, tag=98):
    reason: str


class Terminated(AdministrativeEvent, frozen=True, array_like=True, kw_only=True, tag=99):
    """Ends the execution."""

    reason: str = ""


class DeadlinePassed(AdministrativeEvent, frozen=True, array_like=True, kw_only=True, tag=100):
    """Ends the execution as FAILED with DeadlineExceeded."""

    failure: Failure


Applied = (
    ExecutionStarted
    | SignalReceived
    | CancelRequested
    | ActivityCompleted
    | ActivityFailed
    | TimerFired
    | SubWorkflowCompleted
    | SubWorkflowFailed
    | SignalDelivered
    | SignalRefused
    | ContinueSuggested
    | UpdateAccepted
)
Command = (
    ActivityScheduled
    | ActivityCancelled
    | TimerSet
    | TimerCancelled
    | SubWorkflowScheduled
    | SubWorkflowCancelled
    | SignalSent
    | SideEffectRecorded
    | PatchMarked
    | UpdateCompleted
)
End = ExecutionCompleted | ExecutionFailed | ExecutionCancelled | ExecutionContinued
Administrative = Suspended | Resumed | MarkedStuck | Terminated | DeadlinePassed
Event = Applied | Command | End | Administrative
Sent = SignalReceived | CancelRequested | UpdateRequested
"""What is sent to a running instance; continue-as-new takes along what hasn't been applied."""
