"""How a divergence is told: what history says, what the code did, and where."""

from __future__ import annotations

from types import FrameType
from typing import Any

import msgspec

from perdure.errors import NonDeterminismError
from perdure.model.event import (
    ActivityCancelled,
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    CancelRequested,
    Command,
    ContinueSuggested,
    End,
    Event,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionFailed,
    ExecutionStarted,
    PatchMarked,
    SideEffectRecorded,
    SignalDelivered,
    SignalReceived,
    SignalRefused,
    SignalSent,
    SubWorkflowCancelled,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    SubWorkflowScheduled,
    TimerCancelled,
    TimerFired,
    TimerSet,
    UpdateAccepted,
    UpdateCompleted,
)
from perdure.model.failure import Failure
from perdure.model.reference import is_reference, read_reference

_LONGEST = 200


class Site(msgspec.Struct, frozen=True):
    """A line of workflow code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}, in {self.function}"


def find_site(frame: FrameType | None) -> Site | None:
    """The innermost line that is neither perdure's nor asyncio's; None if the engine itself asked (a retry)."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "perdure.engine.execution":
            return None
        if _is_users(frame):
            return Site(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        frame = frame.f_back
    return None


def raising_site(error: BaseException | None) -> Site | None:
    """The innermost line of workflow code that the error came through."""
    found, step = None, None if error is None else error.__traceback__
    while step is not None:
        if _is_users(step.tb_frame):
            code = step.tb_frame.f_code
            found = Site(code.co_filename, step.tb_lineno, code.co_qualname)
        step = step.tb_next
    return found


def _is_users(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "")
    return not (module.startswith(("perdure.", "asyncio.")) or module in ("asyncio", "contextlib"))


def divergence(
    *,
    history: str | Command | End,
    code: str | Command | End,
    site: Site | None,
    position: int = -1,
) -> NonDeterminismError:
    """The error, with its three parts on lines of their own."""
    says, did = (each if isinstance(each, str) else describe(each) for each in (history, code))
    place = f"\n  code line:    {site}" if site is not None else ""
    error = NonDeterminismError(
        "workflow code doesn't repeat its history\n"
        f"  history says: {says}\n"
        f"  the code did: {did}{place}\n"
        "Undo the change, or make it with ctx.patched(…); then the instance goes on by itself."
    )
    error.history, error.code, error.site, error.position = says, did, site, position
    error.recorded = None if isinstance(history, str) else history
    error.issued = None if isinstance(code, str) else code
    return error


def describe(event: Event) -> str:
    """An event as a person reads it."""
    describe_kind = _DESCRIPTIONS.get(type(event))
    return describe_kind(event) if describe_kind else type(event).__name__


def _input(arguments: bytes) -> str:
    if is_reference(arguments):
        return f"(…{read_reference(arguments).size:,} bytes, kept apart…)"
    text = arguments.decode(errors="replace")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _failed(failure: Failure) -> str:
    return f"{failure.type_name}: {failure.message}"


_DESCRIPTIONS: dict[type, Any] = {
    ExecutionStarted: lambda e: f"start of {e.workflow}{_input(e.arguments)}",
    SignalReceived: lambda e: f"signal {e.name!r} received with {_input(e.payload)}",
    CancelRequested: lambda e: "cancel requested",
    ActivityCompleted: lambda e: f"activity {e.number} completed with {_input(e.result)}",
    ActivityFailed: lambda e: f"activity {e.number} failed ({_failed(e.failure)})",
    TimerFired: lambda e: f"timer {e.number} fired",
    SubWorkflowCompleted: lambda e: f"sub-workflow {e.number} completed with {_input(e.result)}",
    SubWorkflowFailed: lambda e: f"sub-workflow {e.number} failed ({_failed(e.failure)})",
    SignalDelivered: lambda e: f"signal {e.number} delivered",
    SignalRefused: lambda e: f"signal {e.number} refused ({_failed(e.failure)})",
    ContinueSuggested: lambda e: "continue-as-new suggested",
    UpdateAccepted: lambda e: f"update {e.name!r} accepted with {_input(e.arguments)}",
    ActivityScheduled: lambda e: f"activity {e.number}: {e.name}{_input(e.arguments)}",
    ActivityCancelled: lambda e: f"cancel of activity {e.number}",
    TimerSet: lambda e: f"timer {e.number} set",
    TimerCancelled: lambda e: f"timer {e.number} cancelled",
    SubWorkflowScheduled: lambda e: f"sub-workflow {e.number}: {e.workflow}{_input(e.arguments)} as {e.instance_id!r}",
    SubWorkflowCancelled: lambda e: f"cancel of sub-workflow {e.number}",
    SignalSent: lambda e: f"signal {e.number}: {e.name!r} to {e.instance_id!r} with {_input(e.payload)}",
    SideEffectRecorded: lambda e: f"side effect {e.number} ({e.name})",
    PatchMarked: lambda e: f"patch {e.patch_id!r}",
    UpdateCompleted: lambda e: "answer of an update",
    ExecutionCompleted: lambda e: f"the end of the workflow (ExecutionCompleted with {_input(e.result)})",
    ExecutionFailed: lambda e: f"the end of the workflow (ExecutionFailed: {_failed(e.failure)})",
    ExecutionCancelled: lambda e: "the end of the workflow (ExecutionCancelled)",
    ExecutionContinued: lambda e: f"continue-as-new of {e.workflow}{_input(e.arguments)}",
}
