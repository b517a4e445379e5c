"""A command's life as a table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from perdure.engine.apart import whole
from perdure.errors import DecodeError, NonDeterminismError

if TYPE_CHECKING:
    from perdure.engine.checkpoints import CheckpointBuilder
    from perdure.engine.core import Core
    from perdure.model.event import Command
    from perdure.serialization.calls import CallReader
    from perdure.workflows.future import Future

# States. Plain strings: they are looked up for every event, and an Enum's hash is a Python call.
ISSUED: Final = "issued"
"""In this drain; if it is cancelled before the drain ends, nothing of it is recorded."""
RECORDED: Final = "recorded"
ASKED: Final = "asked"
"""It was asked to cancel, and its end is still awaited."""
ABANDONED: Final = "abandoned"
"""Workflow code waits for it no longer; how it ends is dropped."""
DROPPED: Final = "dropped"
DONE: Final = "done"

# Inputs.
RECORD: Final = "recorded at the end of the drain"
ASK: Final = "asked to cancel"
ABANDON: Final = "abandoned"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
FIRED: Final = "fired"

Action = Callable[..., None]
Table = Mapping[tuple[str, str], tuple[str, Action | None]]


class Machine:
    """One command of an execution. `site` is the line of workflow code that issued it, kept during replay alone."""

    __slots__ = ("core", "number", "site", "state")

    table: ClassVar[Table]
    kind: ClassVar[str]

    def __init__(self, core: Core, number: int) -> None:
        self.core = core
        self.number = number
        self.state = ISSUED
        self.site = core.recorder.site() if core.is_replaying else None
        if number:
            core.machines[number] = self

    @property
    def is_abandoned(self) -> bool:
        """Whether workflow code won't get to see its result."""
        return self.state is ABANDONED

    def feed(self, fact: str, *details: Any) -> None:
        """Something happened: move, and act."""
        row = self.table.get((self.state, fact))
        if row is None:
            raise NonDeterminismError(
                f"{self.kind} {self.number} is {self.state}, and history says it {fact}: "
                "the code isn't what this history was made with"
            )
        self.state, action = row
        if action is not None:
            action(self, *details)

    def is_repeated(self, issued: Any, known: Any, *, with_input: bool) -> bool:
        """Whether `known` in history is the command `issued`; both are of one kind and number."""
        return True

    def instance_cancelled(self) -> None:
        """The instance was asked to cancel; the main task isn't yet."""

    def contribute(self, event: Command, checkpoint: CheckpointBuilder) -> None:
        """Put what the recorded event leads to into the checkpoint."""

    def let_go(self) -> None:
        """The execution leaves memory: break the cycles, so that the garbage collector has nothing to do."""


def give_up(future: Future[Any]) -> None:
    """For `let_go`: neither the command nor those who wait (a gather knows its children) are held by the future.

    A cancelled future gives up its callbacks; they are scheduled, and forgotten with the loop.
    """
    future.command = None
    asyncio.Future.cancel(future)


def is_same_call(core: Core, schema: CallReader, issued: Any, known: Any) -> bool:
    """Equal inputs, or equal once both have passed through today's types: a new default sticks nobody. Raises InputApart."""
    if issued.digest == known.digest:
        return True
    try:
        return schema.is_same_call(whole(core, known.arguments), issued.arguments)
    except DecodeError:
        return False
