"""A durable timer: set, then fired or cancelled. It fulfils a future, or runs a callback of asyncio's."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from perdure.clock import Micros
from perdure.engine.machines.machine import (
    ABANDON,
    DONE,
    DROPPED,
    FIRED,
    ISSUED,
    RECORD,
    RECORDED,
    Machine,
    Table,
    give_up,
)
from perdure.model.event import TimerCancelled, TimerSet

if TYPE_CHECKING:
    from perdure.engine.core import Core
    from perdure.workflows.context import Context
    from perdure.workflows.future import Future


class TimerMachine(Machine):
    """See `table` at the end."""

    __slots__ = ("due_at", "future", "on_fire")

    kind = "timer"

    def __init__(self, core: Core, number: int, due_at: Micros, on_fire: Callable[[], None]) -> None:
        super().__init__(core, number)
        self.due_at = due_at
        self.on_fire: Callable[[], None] | None = on_fire
        self.future: Future[None] | None = None
        self.core.recorder.issue(self, TimerSet(number=number, due_at=due_at))

    def __lt__(self, other: TimerMachine) -> bool:
        return (self.due_at, self.number) < (other.due_at, other.number)

    def is_repeated(self, issued: Any, known: Any, *, with_input: bool) -> bool:
        if isinstance(known, TimerSet):
            self.due_at = known.due_at  # delays may change: what was set counts
        return True

    def _await(self) -> None:
        self.core.await_timer(self)

    def _leave(self) -> Callable[[], None] | None:
        """Nothing more comes of it: forget what it was for, which knows this machine."""
        self.core.machines.pop(self.number, None)
        on_fire, self.on_fire = self.on_fire, None
        return on_fire

    def let_go(self) -> None:
        self.on_fire = None
        if self.future is not None:
            give_up(self.future)

    def _drop(self) -> None:
        self._leave()

    def _record_cancelled(self) -> None:
        self.core.recorder.follow_up(self, TimerCancelled(number=self.number))
        self._leave()

    def _fire(self) -> None:
        on_fire = self._leave()
        if on_fire is not None:
            on_fire()

    table: ClassVar[Table] = {
        (ISSUED, RECORD): (RECORDED, _await),
        (ISSUED, ABANDON): (DROPPED, _drop),
        (RECORDED, ABANDON): (DONE, _record_cancelled),
        (RECORDED, FIRED): (DONE, _fire),
        (DONE, ABANDON): (DONE, None),
        (DROPPED, ABANDON): (DROPPED, None),
    }


class FutureTimer:
    """The command behind `ctx.schedule_timer`'s future: nothing of it refuses a cancel."""

    __slots__ = ("ctx", "future", "machine")

    def __init__(self, core: Core, ctx: Context, number: int, due_at: Micros) -> None:
        self.ctx = ctx
        self.future: Future[None] = core.future(self)
        self.machine = TimerMachine(core, number, due_at, self._fired)
        self.machine.future = self.future
        ctx.hold(self)

    def refuses_cancel(self) -> bool:
        return False

    def refuse_cancel(self) -> None:
        raise AssertionError("a timer obeys every cancel")

    def is_disconnected(self) -> bool:
        return self.ctx.is_disconnected

    def abandoned(self) -> None:
        self._leave()
        self.machine.feed(ABANDON)

    def context_cancelled(self) -> None:
        self.future.cancel()

    def _fired(self) -> None:
        self._leave()
        self.future.set_result(None)

    def _leave(self) -> None:
        self.ctx.drop(self)
        self.future.command = None


class LoopTimerHandle:
    """What asyncio gets from call_later: cancelling it cancels the durable timer."""

    __slots__ = ("_is_cancelled", "_machine", "_when")

    def __init__(
        self,
        core: Core,
        number: int,
        due_at: Micros,
        when: float,
        callback: Callable[[], object],
        context: contextvars.Context | None,
    ) -> None:
        self._is_cancelled = False
        self._when = when
        self._machine = TimerMachine(core, number, due_at, lambda: _schedule(core.loop.call_soon, callback, context))

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        if not self._is_cancelled:
            self._is_cancelled = True
            self._machine.feed(ABANDON)

    def cancelled(self) -> bool:
        return self._is_cancelled


def _schedule(call_soon: Callable[..., Any], callback: Callable[[], object], context: Any) -> None:
    call_soon(callback, context=context)
