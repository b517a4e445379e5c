"""A history under pdb: replayed to an event, then stepped through, as if it happened now."""

from __future__ import annotations

import pdb  # noqa: T100 - this is the debugger
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import IO

from perdure.app import App
from perdure.engine.execution import Execution
from perdure.errors import ConfigurationError
from perdure.model.event import AppliedEvent
from perdure.replay.comparing import execution_of
from perdure.replay.divergence import in_words
from perdure.serialization.saved import SavedHistory

_NOT_THE_USERS = ("perdure.", "asyncio.", "asyncio", "contextlib")
_RUN_WORKFLOW_CODE = {
    "perdure.engine.loop",
    "perdure.engine.tasks",
    "perdure.engine.handlers",
    "perdure.workflows.compensations",
}


class _Debugger(pdb.Pdb):
    """Stops in workflow code and what it calls, not in perdure nor in what perdure calls; breakpoints hold everywhere."""

    has_quit = False

    def set_quit(self) -> None:
        self.has_quit = True
        super().set_quit()

    def stop_here(self, frame: FrameType) -> bool:
        return _is_workflow_code(frame) and super().stop_here(frame)


def _is_workflow_code(frame: FrameType | None) -> bool:
    if frame is None or _module(frame).startswith(_NOT_THE_USERS):
        return False
    while frame is not None and not _module(frame).startswith("perdure."):
        frame = frame.f_back
    return frame is not None and _module(frame) in _RUN_WORKFLOW_CODE


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def debug_history(
    history: SavedHistory, app: App, at_event: int, *, stdin: IO[str] | None = None, stdout: IO[str] | None = None
) -> None:
    """Stop where workflow code runs when the event is applied; for a command, the event that led to it.

    From there on it is pdb's, to the end of the history. Raises ConfigurationError, and what a replay raises.
    """
    definition = app.workflows.get(history.workflow)
    if definition is None:
        raise ConfigurationError(f"the App has no workflow {history.workflow!r}")
    target = _applied(history, at_event)
    execution = execution_of(history, definition, app)
    debugger = _Debugger(stdin=stdin, stdout=stdout, nosigint=True)
    try:
        replaying = execution.replaying(history.events)
        while execution.position < target:
            next(replaying)
        debugger.message(f"Event {target} of {len(history.events)}: {in_words(history.events[target], app.payloads)}")
        _step(debugger, replaying, execution)
    finally:
        execution.close()


def _applied(history: SavedHistory, at_event: int) -> int:
    if at_event >= len(history.events):
        raise ConfigurationError(
            f"{history.instance_id!r} has {len(history.events)} events so far: --at takes 0 to {len(history.events) - 1}"
        )
    applied = [place for place, event in enumerate(history.events) if isinstance(event, AppliedEvent)]
    if not applied:
        raise ConfigurationError(f"{history.instance_id!r} hasn't begun yet")
    return max([place for place in applied if place <= at_event], default=applied[0])


def _step(debugger: _Debugger, replaying: Iterator[Sequence[bytes]], execution: Execution) -> None:
    def go_on() -> None:
        for _ in replaying:
            pass

    try:
        debugger.runcall(go_on)
    except Exception:
        if not debugger.has_quit:  # quitting raises in the middle of workflow code
            raise
    if debugger.has_quit:
        return
    debugger.message("The history ends here.")
    for place in execution.places():
        debugger.message(f"{place.task}: {place}")
