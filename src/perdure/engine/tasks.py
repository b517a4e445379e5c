"""Tasks on a workflow loop, and how an instance's cancel goes through them.

An instance's cancel is `main_task.cancel()` with asyncio's own meaning, with two exceptions.

*Work that was issued before it isn't lost.* An activity or sub-workflow at the end of the chain of awaits that a task hangs
on refuses the first cancel that reaches it: it goes on, its await gives its result, and every task on the way *owes* the
cancel. A debt is settled by a cancel at the task's next await that isn't such a one again, by a new command that the
cancelled context refuses, or never, if the task ends first.

*Clean-up isn't disturbed.* A task that awaits a command of a disconnected context, or is inside an
`async with ctx.disconnected()` block, owes the cancel until that is over.

Which cancel is the instance's? The one that the engine delivers, and the first one that reaches a task older than the
instance's cancel: a TaskGroup, gather or parent task passes the instance's cancel on like that. Every later cancel (a
time-out's, say) is obeyed at once, and doesn't pay the debt: once it is taken back by `uncancel`, the debt is due.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.workflows.future import Future

if TYPE_CHECKING:
    from perdure.engine.loop import WorkflowLoop

T = TypeVar("T")


class DurableTask(asyncio.Task[T]):
    """A task of workflow code. A command's future can take the place of the coroutine."""

    _adopted: asyncio.Future[Any] | None = None
    _owes = False
    _owes_since = 0
    """How many cancels weren't taken back when it began to owe; those are no reason to wait."""
    _shields = 0

    def __init__(self, coro: Any, *, loop: WorkflowLoop, name: str | None = None, context: Any = None) -> None:
        number = loop.next_number()
        self._workflow_loop = loop
        self._hash = loop.hash_base + number  # before super: it puts the task into a set
        self._was_reached = loop.marked  # by a cancel since the instance's; tasks made after it have nothing to expect
        if isinstance(coro, asyncio.Future):
            self._adopted = coro
            coro = self._await_adopted()
        self.own_context: contextvars.Context = contextvars.copy_context() if context is None else context
        asyncio.Task.__init__(self, coro, loop=loop, name=name or f"task-{number}", context=self.own_context)
        self._log_destroy_pending = False  # evicted executions leave pending tasks, by design

    def __hash__(self) -> int:
        return self._hash

    async def _await_adopted(self) -> Any:
        adopted, self._adopted = self._adopted, None
        assert adopted is not None
        return await adopted

    def cancel(self, msg: Any | None = None) -> bool:
        if self.done():
            return False
        loop, waits_for = self._workflow_loop, self._waits_for()
        is_the_instances = loop.delivering or (loop.marked and not self._was_reached)
        self._was_reached = self._was_reached or loop.marked
        if is_the_instances and self._shields:
            return self._owe(None)
        leaf = _leaf(waits_for)
        if isinstance(leaf, Future) and leaf.command is not None and not leaf.done():
            if is_the_instances and leaf.command.is_disconnected():
                return self._owe(waits_for)
            if leaf.command.refuses_cancel():
                assert waits_for is not None
                waits_for.cancel(msg)  # tasks on the way owe it too
                return self._owe(waits_for)
        if loop.delivering:
            self._owes = False
        elif self._owes and waits_for is not None:
            waits_for.remove_done_callback(self._awaited_ended)  # this cancel ends the await, and pays nothing
        if self._adopted is not None:
            self._adopted.cancel(msg)  # not even begun: the command must not outlive its task
        return super().cancel(msg)

    def uncancel(self) -> int:
        left = super().uncancel()
        if self._owes and left <= self._owes_since:
            self._workflow_loop.call_soon(self.settle)
        return left

    def settle(self) -> None:
        """Pay the debt at the task's next await."""
        if not self._owes or self.done() or self._shields or self.cancelling() > self._owes_since:
            return
        loop = self._workflow_loop
        outer, loop.delivering = loop.delivering, True
        try:
            self.cancel()
        finally:
            loop.delivering = outer

    def disconnect(self) -> None:
        """No cancel that reaches this task is the instance's."""
        self._was_reached = True

    def forgive(self) -> None:
        """A refused command raised CancelledError in this task: nothing is owed any more."""
        self._owes = False

    def let_go(self) -> None:
        """The execution leaves memory: the future that it waits for and the task no longer hold each other.

        A cancelled future gives up its callbacks; they are scheduled, and forgotten with the loop.
        """
        waits_for = self._fut_waiter  # type: ignore[attr-defined]
        if waits_for is None:
            return
        asyncio.Future.cancel(waits_for)
        if sys.version_info >= (3, 14):
            asyncio.future_discard_from_awaited_by(waits_for, self)

    def enter_clean_up(self) -> None:
        self._shields += 1

    def leave_clean_up(self) -> None:
        self._shields -= 1
        if self._owes and not self._shields:
            self._workflow_loop.call_soon(self.settle)

    def _waits_for(self) -> asyncio.Future[Any] | None:
        return self._adopted if self._adopted is not None else self._fut_waiter  # type: ignore[attr-defined]

    def _owe(self, until: asyncio.Future[Any] | None) -> bool:
        self._owes_since = min(self.cancelling(), self._owes_since) if self._owes else self.cancelling()
        self._owes = True
        if until is not None:
            until.add_done_callback(self._awaited_ended)
        return True

    def _awaited_ended(self, awaited: asyncio.Future[Any]) -> None:
        if awaited.cancelled():
            self._owes = False  # its CancelledError is the payment
        else:
            self.settle()


def _leaf(waits_for: asyncio.Future[Any] | None) -> asyncio.Future[Any] | None:
    """What a task hangs on in the end, through awaited tasks."""
    while isinstance(waits_for, DurableTask):
        waits_for = waits_for._waits_for()
    return waits_for
