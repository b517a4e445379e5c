"""Commands that are over as soon as they are recorded: side effects and patch markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from perdure.engine.machines.machine import DONE, ISSUED, RECORD, Machine, Table
from perdure.model.event import PatchMarked, SideEffectRecorded

if TYPE_CHECKING:
    from perdure.engine.core import Core


class SideEffectMachine(Machine):
    """Ran, or was found in history, while it was issued."""

    __slots__ = ()

    kind = "side effect"
    table: ClassVar[Table] = {(ISSUED, RECORD): (DONE, None)}

    def __init__(self, core: Core, event: SideEffectRecorded) -> None:
        super().__init__(core, event.number)
        core.recorder.issue(self, event)
        del core.machines[event.number]  # nothing can come for it


class PatchMachine(Machine):
    """The marker of `ctx.patched`. It has no number of its own, so that removing it renumbers nothing."""

    __slots__ = ()

    kind = "patch"
    table: ClassVar[Table] = {(ISSUED, RECORD): (DONE, None)}

    def __init__(self, core: Core, event: PatchMarked) -> None:
        super().__init__(core, event.number)
        core.recorder.issue(self, event)
