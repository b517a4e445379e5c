"""Futures of commands: what `ctx.execute_activity` and its kind return.

To a type checker a `Future` is also a coroutine, so that all of asyncio's calls take it and know its result; at run time it
is a future alone (`asyncio.wait` refuses coroutines), and the workflow's own `create_task` takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from perdure.workflows.signal import Signal

R = TypeVar("R")
T = TypeVar("T")


class Command(Protocol):
    """The command behind a future, as far as cancelling goes."""

    def refuses_cancel(self) -> bool:
        """Whether the command was issued before the instance's cancel, which would be the first to reach it."""
        ...

    def refuse_cancel(self) -> None:
        """It did refuse; the next cancel is obeyed."""
        ...

    def is_disconnected(self) -> bool:
        """Whether it belongs to a disconnected context, whose commands the instance's cancel never reaches."""
        ...

    def abandoned(self) -> None:
        """Its future was cancelled: workflow code waits for it no longer."""
        ...


if TYPE_CHECKING:

    class Future(asyncio.Future[R], Coroutine[Any, Any, R]):
        """The result to come of a command that was issued. Awaitable any number of times, cancellable."""

        command: Command | None
        number: int

        def send(self, value: Any, /) -> Any: ...
        def throw(self, *problem: Any) -> Any: ...
        def close(self) -> None:
            """What an aborting TaskGroup does with a coroutine that it won't run: the future is cancelled."""

else:

    class Future(asyncio.Future, Generic[R]):
        """The result to come of a command that was issued. Awaitable any number of times, cancellable."""

        command = None
        number = 0

        def __hash__(self) -> int:
            return self._loop.hash_base + self.number if self.number else id(self) >> 4

        def cancel(self, msg: Any = None) -> bool:
            command = self.command
            if command is None or self.done():
                return super().cancel(msg)
            if command.refuses_cancel():
                command.refuse_cancel()
                return False
            cancelled = super().cancel(msg)
            if cancelled:
                command.abandoned()
            return cancelled

        def close(self) -> None:
            """What an aborting TaskGroup does with a coroutine that it won't run: the future is cancelled."""
            self.cancel()


if TYPE_CHECKING:

    class SubWorkflowFuture(Future[R]):
        """The result to come of a sub-workflow."""

        send_signal: Callable[[str, Signal[Any], Any], Future[None]]

        @property
        def instance_id(self) -> str:
            """The sub-workflow's instance id."""
            ...

        @overload
        def signal(self, signal: Signal[None], value: None = None) -> Future[None]: ...
        @overload
        def signal(self, signal: Signal[T], value: T) -> Future[None]: ...
        def signal(self, signal: Signal[Any], value: Any = None) -> Future[None]:
            """Signal the sub-workflow; the future fails with SignalNotDelivered if it has ended."""
            ...

else:

    class SubWorkflowFuture(Future):
        """The result to come of a sub-workflow."""

        instance_id = ""
        send_signal = None

        def signal(self, signal: Any, value: Any = None) -> Any:
            """Signal the sub-workflow; the future fails with SignalNotDelivered if it has ended."""
            return self.send_signal(self.instance_id, signal, value)
