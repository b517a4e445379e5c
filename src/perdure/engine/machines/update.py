"""The end of an update's handler: a command, over as soon as it is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from perdure.engine.machines.machine import DONE, ISSUED, RECORD, Machine, Table
from perdure.model.event import Command, UpdateAccepted, UpdateCompleted
from perdure.model.failure import Failure
from perdure.model.reply import Raised, Replied

if TYPE_CHECKING:
    from perdure.engine.checkpoints import CheckpointBuilder
    from perdure.engine.core import Core


class UpdateMachine(Machine):
    """The answer is in history, is published, and goes to whoever waits for it."""

    __slots__ = ("reply_to",)

    kind = "update"
    table: ClassVar[Table] = {(ISSUED, RECORD): (DONE, None)}

    def __init__(self, core: Core, accepted: UpdateAccepted, result: bytes | None, failure: Failure | None) -> None:
        super().__init__(core, core.next_command())
        self.reply_to = accepted.reply_to
        event = UpdateCompleted(number=self.number, update_id=accepted.update_id, result=result, failure=failure)
        core.recorder.issue(self, event)
        del core.machines[self.number]  # nothing can come for it

    def is_repeated(self, issued: Any, known: Any, *, with_input: bool) -> bool:
        """An answer that was given is never given anew: whether today's code would answer the same isn't asked."""
        is_same_end = (issued.failure is None) == (known.failure is None)
        return is_same_end and bool(issued.update_id == known.update_id)

    def contribute(self, event: Command, checkpoint: CheckpointBuilder) -> None:
        assert isinstance(event, UpdateCompleted)
        reply = Replied(event.result or b"") if event.failure is None else Raised(event.failure)
        self.core.settle_update(event.update_id, self.reply_to, reply)
