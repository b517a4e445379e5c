"""How a divergence is told: what history says, what the code did, and where."""

from __future__ import annotations

from types import FrameType
from typing import Any

import msgspec

from perdure.errors import NonDeterminismError
from perdure.model.event import (
    ActivityCancelled,
    ActivityScheduled,
    Command,
    End,
    ExecutionContinued,
    PatchMarked,
    SideEffectRecorded,
    SignalSent,
    SubWorkflowCancelled,
    SubWorkflowScheduled,
    TimerCancelled,
    TimerSet,
)
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
        module = frame.f_globals.get("__name__", "")
        if module == "perdure.engine.execution":
            return None
        if not (module.startswith(("perdure.", "asyncio.")) or module in ("asyncio", "contextlib")):
            return Site(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        frame = frame.f_back
    return None


def divergence(*, history: str, code: str, site: Site | None) -> NonDeterminismError:
    """The error, with its three parts on lines of their own."""
    place = f"\n  code line:    {site}" if site is not None else ""
    return NonDeterminismError(
        "workflow code doesn't repeat its history\n"
        f"  history says: {history}\n"
        f"  the code did: {code}{place}\n"
        "Undo the change, or make it with ctx.patched(…); then the instance goes on by itself."
    )


def describe(event: Command | End) -> str:
    """A command as a person reads it."""
    describe_kind = _DESCRIPTIONS.get(type(event))
    return describe_kind(event) if describe_kind else type(event).__name__


def _input(arguments: bytes) -> str:
    if is_reference(arguments):
        return f"(…{read_reference(arguments).size:,} bytes, kept apart…)"
    text = arguments.decode(errors="replace")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


_DESCRIPTIONS: dict[type, Any] = {
    ActivityScheduled: lambda e: f"activity {e.number}: {e.name}{_input(e.arguments)}",
    ActivityCancelled: lambda e: f"cancel of activity {e.number}",
    TimerSet: lambda e: f"timer {e.number} set",
    TimerCancelled: lambda e: f"timer {e.number} cancelled",
    SubWorkflowScheduled: lambda e: f"sub-workflow {e.number}: {e.workflow}{_input(e.arguments)} as {e.instance_id!r}",
    SubWorkflowCancelled: lambda e: f"cancel of sub-workflow {e.number}",
    SignalSent: lambda e: f"signal {e.number}: {e.name!r} to {e.instance_id!r} with {_input(e.payload)}",
    SideEffectRecorded: lambda e: f"side effect {e.number} ({e.name})",
    PatchMarked: lambda e: f"patch {e.patch_id!r}",
    ExecutionContinued: lambda e: f"continue-as-new of {e.workflow}{_input(e.arguments)}",
}
