"""What becomes of a transition that was handed in: like a future, for those who take no task of their own for each.

An asyncio.Future schedules its callbacks one by one, each for the next turn of the loop. An `Answer` calls its callback as soon
as it is settled, in the one callback of the loop that settles a whole batch; it can be awaited as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

from perdure.errors import StoreUnavailable

O = TypeVar("O")  # noqa: E741 - the outcome


class Answer(Generic[O]):
    """Belongs to one event loop: everything but `outcome` and `error` is touched there alone."""

    __slots__ = ("_callback", "error", "is_settled", "loop", "outcome")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.outcome: O | None = None
        self.error: BaseException | None = None
        self.is_settled: bool = False
        self._callback: Callable[[Answer[O]], object] | None = None

    def result(self) -> O:
        """The outcome; raises the error."""
        if not self.is_settled:
            raise asyncio.InvalidStateError("the store hasn't answered yet")
        if self.error is not None:
            raise self.error
        return cast("O", self.outcome)

    def add_done_callback(self, callback: Callable[[Answer[O]], object]) -> None:
        """Call it with this answer when it is settled, never inside this call. There can be one, and none beside an await."""
        assert self._callback is None, "somebody waits for this answer already"
        self._callback = callback
        if self.is_settled:
            self.loop.call_soon(callback, self)

    def settle(self) -> None:
        """Tell whoever waits; `outcome` and `error` are set. What the callback raises is the loop's to report."""
        self.is_settled = True
        callback = self._callback
        if callback is None:
            return
        try:
            callback(self)
        except Exception as problem:
            self.loop.call_exception_handler({"message": "a callback of an answer failed", "exception": problem})

    def __await__(self) -> Generator[Any, None, O]:
        if not self.is_settled:
            waiter: asyncio.Future[None] = self.loop.create_future()
            self.add_done_callback(lambda _: _wake(waiter))
            yield from waiter
        return self.result()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def may_have_happened(problem: BaseException) -> bool:
    """Whether what failed with this may have taken place all the same: its answer was lost, or nobody waited for it."""
    if isinstance(problem, Exception):
        return isinstance(problem, StoreUnavailable) and not problem.is_unwritten
    return True


def settled(loop: asyncio.AbstractEventLoop, outcome: O) -> Answer[O]:
    """One that is there already."""
    answer: Answer[O] = Answer(loop)
    answer.outcome, answer.is_settled = outcome, True
    return answer


def failed(loop: asyncio.AbstractEventLoop, error: BaseException) -> Answer[Any]:
    """One that is an error already."""
    answer: Answer[Any] = Answer(loop)
    answer.error, answer.is_settled = error, True
    return answer


def answer_of(future: asyncio.Future[O]) -> Answer[O]:
    """One that is settled with a future."""
    answer: Answer[O] = Answer(future.get_loop())

    def settle(done: asyncio.Future[O]) -> None:
        if done.cancelled():
            answer.error = asyncio.CancelledError()
        else:
            answer.error = done.exception()
            answer.outcome = None if answer.error is not None else done.result()
        answer.settle()

    future.add_done_callback(settle)
    return answer
