"""Where an execution is: for each of its tasks the line of the user's code that it waits in."""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec

import perdure
from perdure.engine.core import Core
from perdure.engine.machines.activity import ActivityMachine
from perdure.engine.machines.sub_workflow import SubWorkflowCommand
from perdure.engine.machines.timer import FutureTimer
from perdure.engine.tasks import DurableTask

_OWN = (str(Path(perdure.__file__).parent), str(Path(asyncio.__file__).parent))


class Place(msgspec.Struct, frozen=True):
    """A task, and the innermost line of workflow code that it hangs on."""

    task: str
    """`main`, or the name that asyncio knows it by."""
    file: str
    line: int
    function: str
    source: str
    """The line's text, stripped; empty if the file can't be read."""
    waits_for: str
    """What the task awaits there, in words; empty if that isn't a command's result."""

    def __str__(self) -> str:
        waits = f", waiting for {self.waits_for}" if self.waits_for else ""
        return f"{self.file}:{self.line}, in {self.function}{waits}\n    {self.source}"


def places_of(core: Core) -> Sequence[Place]:
    """Of all tasks that haven't ended, in the order of their creation."""
    return [place for task in core.loop.live_tasks if (place := _place(task)) is not None]


def _place(task: DurableTask[Any]) -> Place | None:
    frames = [found for found in _suspended(task.get_coro()) if not found[0].co_filename.startswith(_OWN)]
    if not frames:
        return None
    code, line = frames[-1]
    return Place(
        task=task.get_name(),
        file=code.co_filename,
        line=line,
        function=code.co_qualname,
        source=linecache.getline(code.co_filename, line).strip(),
        waits_for=_awaited(task._fut_waiter),  # type: ignore[attr-defined]
    )


def _suspended(coroutine: Any) -> Iterator[tuple[CodeType, int]]:
    """The frames of a coroutine that is suspended, outermost first."""
    while coroutine is not None:
        frame: FrameType | None = next(
            (found for name in ("cr_frame", "gi_frame", "ag_frame") if (found := getattr(coroutine, name, None))), None
        )
        if frame is not None:
            yield frame.f_code, frame.f_lineno
        coroutine = next(
            (found for name in ("cr_await", "gi_yieldfrom", "ag_await") if (found := getattr(coroutine, name, None))),
            None,
        )


def _awaited(waiter: Any) -> str:
    match getattr(waiter, "command", None):
        case ActivityMachine() as machine:
            return f"activity {machine.new.name}"
        case SubWorkflowCommand() as command:
            return f"sub-workflow {command.machine.start.workflow} ({command.machine.start.instance_id})"
        case FutureTimer():
            return "a timer"
        case _:
            return f"task {waiter.get_name()}" if isinstance(waiter, asyncio.Task) else ""
