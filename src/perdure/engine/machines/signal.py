"""A signal to another instance: sent, then delivered or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from perdure.engine.apart import whole
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
    Table,
    give_up,
)
from perdure.errors import PayloadError
from perdure.model.checkpoint import SendSignal
from perdure.model.event import Command, SignalReceived, SignalRefused, SignalSent
from perdure.serialization.walking import complete_dataclasses
from perdure.workflows.future import Future

if TYPE_CHECKING:
    from perdure.engine.checkpoints import CheckpointBuilder
    from perdure.engine.core import Core
    from perdure.workflows.context import Context


class SignalMachine(Machine):
    """See `table` at the end. A signal that was sent can't be taken back: abandoning it drops the answer alone."""

    __slots__ = ("ctx", "future", "value_type")

    kind = "signal"

    def __init__(self, core: Core, ctx: Context, event: SignalSent, value_type: Any) -> None:
        super().__init__(core, event.number)
        self.ctx = ctx
        self.value_type = value_type
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

    def is_repeated(self, issued: Any, known: Any, *, with_input: bool) -> bool:
        address = (issued.name, issued.instance_id)
        return address == (known.name, known.instance_id) and (not with_input or self._is_same_value(issued, known))

    def _is_same_value(self, issued: SignalSent, known: SignalSent) -> bool:
        if issued.digest == known.digest:
            return True
        try:
            return self._digest_with_todays_type(issued) == self._digest_with_todays_type(known)
        except PayloadError:
            return False

    def _digest_with_todays_type(self, event: SignalSent) -> bytes:
        payloads = self.core.payloads
        value = payloads.decode(whole(self.core, event.payload), self.value_type)
        complete_dataclasses(value, payloads._converters)
        return payloads.digest(payloads.encode(value, self.value_type))

    def let_go(self) -> None:
        give_up(self.future)

    def _leave(self, *_: object) -> None:
        """Nothing more comes of it."""
        self.core.machines.pop(self.number, None)
        self.future.command = None

    def _resolve(self, _: object = None) -> None:
        self._leave()
        self.future.set_result(None)

    def _refuse(self, event: SignalRefused) -> None:
        self._leave()
        self.future.set_exception(self.core.signal_error(event.failure))

    def contribute(self, event: Command, checkpoint: CheckpointBuilder) -> None:
        assert isinstance(event, SignalSent)
        watcher = self.core.watcher
        headers = {} if watcher is None else watcher.headers_of(self.number)
        checkpoint.messages.append(
            SendSignal(
                message_id=self.core.derived_id(b"signal", self.number),
                number=self.number,
                instance_id=event.instance_id,
                signal=SignalReceived(at=0, name=event.name, payload=event.payload, headers=headers),
            )
        )

    table: ClassVar[Table] = {
        (ISSUED, RECORD): (RECORDED, None),
        (ISSUED, ABANDON): (DROPPED, _leave),
        (RECORDED, ABANDON): (ABANDONED, None),
        (RECORDED, COMPLETED): (DONE, _resolve),
        (RECORDED, FAILED): (DONE, _refuse),
        (ABANDONED, COMPLETED): (DONE, _leave),
        (ABANDONED, FAILED): (DONE, _leave),
        (DONE, ABANDON): (DONE, None),
    }
