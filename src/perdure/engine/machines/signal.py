"""A signal to another instance: sent, then delivered or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.engine.machines.machine import (
    ABANDON,
    ABANDONED,
    COMPLETED,
    DONE,
    DROPPED,
    FAILED,
    ISSUED,
    RECORD,
    RECORDED,
    Machine,
)
from perdure.model.checkpoint import SendSignal
from perdure.model.event import Command, SignalReceived, SignalRefused, SignalSent
from perdure.workflows.future import Future

if TYPE_CHECKING:
    from perdure.engine.checkpoints import CheckpointBuilder
    from perdure.engine.core import Core
    from perdure.workflows.context import Context


class SignalMachine(Machine):
    """See `table` at the end. A signal that was sent can't be taken back: abandoning it drops the answer alone."""

    __slots__ = ("ctx", "future")

    kind = "signal"

    def __init__(self, core: Core, ctx: Context, event: SignalSent) -> None:
        super().__init__(core, event.number)
        self.ctx = ctx
        self.future: Future[None] = core.future(self)
        self.core.recorder.issue(self, event)

    def refuses_cancel(self) -> bool:
        return False

    def refuse_cancel(self) -> None:
        raise AssertionError("a signal's future obeys every cancel")

    def is_disconnected(self) -> bool:
        return self.ctx.is_disconnected

    def abandoned(self) -> None:
        self.feed(ABANDON)

    def _drop(self) -> None:
        self.core.machines.pop(self.number, None)

    def _resolve(self, _: object = None) -> None:
        self.core.machines.pop(self.number, None)
        self.future.set_result(None)

    def _refuse(self, event: SignalRefused) -> None:
        self.core.machines.pop(self.number, None)
        self.future.set_exception(self.core.signal_error(event.failure))

    def _forget(self, *_: object) -> None:
        self.core.machines.pop(self.number, None)

    def contribute(self, event: Command, checkpoint: CheckpointBuilder) -> None:
        assert isinstance(event, SignalSent)
        checkpoint.messages.append(
            SendSignal(
                message_id=self.core.derived_id(b"signal", self.number),
                number=self.number,
                instance_id=event.instance_id,
                signal=SignalReceived(at=0, name=event.name, payload=event.payload),
            )
        )

    table = {
        (ISSUED, RECORD): (RECORDED, None),
        (ISSUED, ABANDON): (DROPPED, _drop),
        (RECORDED, ABANDON): (ABANDONED, None),
        (RECORDED, COMPLETED): (DONE, _resolve),
        (RECORDED, FAILED): (DONE, _refuse),
        (ABANDONED, COMPLETED): (DONE, _forget),
        (ABANDONED, FAILED): (DONE, _forget),
        (DONE, ABANDON): (DONE, None),
    }
