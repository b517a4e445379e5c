"""`select`: wait until one of several things can be done, and do it."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, cast

from perdure.errors import ConfigurationError
from perdure.workflows.channel import Channel, ChannelClosed
from perdure.workflows.signal_channel import SignalChannel

T = TypeVar("T")


class Case(Protocol):
    """One of the things that select waits for."""

    def is_ready(self) -> bool: ...

    def watch(self, waiting: asyncio.Future[None]) -> None:
        """Have `waiting` woken once this may have become ready."""
        ...

    def unwatch(self, waiting: asyncio.Future[None]) -> None: ...

    def take(self) -> tuple[Any, ...]:
        """Do it, and give the arguments for the handler."""
        ...

    def pass_on(self) -> None:
        """Select was perhaps woken for this case and leaves without it: wake who comes next there."""
        ...


class Selected(Generic[T]):
    """What select returns for a case without a handler: the case's place, from 0, and its value."""

    __slots__ = ("index", "value")
    __match_args__ = ("index", "value")

    def __init__(self, index: int, value: T) -> None:
        self.index: int = index
        self.value: T = value

    def __repr__(self) -> str:
        return f"Selected(index={self.index}, value={self.value!r})"


class AwaitCase(Generic[T]):
    """A future, task or command has ended; its exception is raised by select, as an await would."""

    __slots__ = ("_watching", "future", "handler")

    def __init__(self, future: asyncio.Future[T], handler: Callable[[T], Any] | None = None) -> None:
        if not asyncio.isfuture(future):
            raise ConfigurationError(
                f"select awaits futures and tasks, not {future!r}: wrap it in asyncio.create_task(…)"
            )
        self.future: asyncio.Future[T] = future
        self.handler: Callable[[T], Any] | None = handler
        self._watching: dict[asyncio.Future[None], Callable[[object], None]] = {}

    def is_ready(self) -> bool:
        return self.future.done()

    def watch(self, waiting: asyncio.Future[None]) -> None:
        wake = self._watching[waiting] = functools.partial(_wake, waiting)
        self.future.add_done_callback(wake)

    def unwatch(self, waiting: asyncio.Future[None]) -> None:
        wake = self._watching.pop(waiting, None)
        if wake is not None:
            self.future.remove_done_callback(wake)

    def pass_on(self) -> None:
        """A future wakes everybody."""

    def take(self) -> tuple[Any, ...]:
        return (self.future.result(),)


class ReceiveCase(Generic[T]):
    """A value can be received. A closed, empty channel is ready too: it raises ChannelClosed."""

    __slots__ = ("channel", "handler")

    def __init__(self, channel: Channel[T] | SignalChannel[T], handler: Callable[[T], Any] | None = None) -> None:
        self.channel: Channel[T] | SignalChannel[T] = channel
        self.handler: Callable[[T], Any] | None = handler

    def is_ready(self) -> bool:
        return self.channel.can_receive() or getattr(self.channel, "is_closed", False)

    def watch(self, waiting: asyncio.Future[None]) -> None:
        self.channel.watch(waiting)

    def unwatch(self, waiting: asyncio.Future[None]) -> None:
        self.channel.unwatch(waiting)

    def pass_on(self) -> None:
        self.channel.pass_on()

    def take(self) -> tuple[Any, ...]:
        return (self.channel.receive_nowait(),)


class SendCase(Generic[T]):
    """A value can be sent."""

    __slots__ = ("channel", "handler", "value")

    def __init__(self, channel: Channel[T], value: T, handler: Callable[[], Any] | None = None) -> None:
        self.channel: Channel[T] = channel
        self.value: T = value
        self.handler: Callable[[], Any] | None = handler

    def is_ready(self) -> bool:
        return self.channel.can_send() or self.channel.is_closed

    def watch(self, waiting: asyncio.Future[None]) -> None:
        self.channel.senders.add(waiting)

    def unwatch(self, waiting: asyncio.Future[None]) -> None:
        self.channel.senders.discard(waiting)

    def pass_on(self) -> None:
        if self.channel.can_send():
            self.channel.senders.wake_next()

    def take(self) -> tuple[Any, ...]:
        self.channel.send_nowait(self.value)
        return ()


class DefaultCase:
    """Always ready: it is taken if no case before it is."""

    __slots__ = ("handler",)

    def __init__(self, handler: Callable[[], Any] | None = None) -> None:
        self.handler: Callable[[], Any] | None = handler

    def is_ready(self) -> bool:
        return True

    def watch(self, waiting: asyncio.Future[None]) -> None:
        """Nobody waits beside it."""

    def unwatch(self, waiting: asyncio.Future[None]) -> None: ...

    def pass_on(self) -> None: ...

    def take(self) -> tuple[Any, ...]:
        return ()


AnyCase = AwaitCase[Any] | ReceiveCase[Any] | SendCase[Any] | DefaultCase


def on_result(future: Awaitable[T], handler: Callable[[T], Any] | None = None) -> AwaitCase[T]:
    """The case that a future, task or command has ended."""
    return AwaitCase(cast("asyncio.Future[T]", future), handler)


def on_receive(channel: Channel[T] | SignalChannel[T], handler: Callable[[T], Any] | None = None) -> ReceiveCase[T]:
    """The case that a channel or signal has a value."""
    return ReceiveCase(channel, handler)


def on_send(channel: Channel[T], value: T, handler: Callable[[], Any] | None = None) -> SendCase[T]:
    """The case that a channel takes a value."""
    return SendCase(channel, value, handler)


def otherwise(handler: Callable[[], Any] | None = None) -> DefaultCase:
    """The case that nothing before it is ready; place it last."""
    return DefaultCase(handler)


async def select(*cases: AnyCase) -> Any:
    """Wait until a case is ready, take the first that is, strictly in the order given, and run its handler.

    Returns what the handler returns (awaited, if it is async), or `Selected(index, value)` if the case has none. The
    other cases are left as they were: nothing is received or sent for them.
    """
    if not cases:
        raise ConfigurationError("select needs at least one case")
    woken: tuple[AnyCase, ...] = ()
    while True:
        for index, case in enumerate(cases):
            if case.is_ready():
                return await _run(index, case, woken)
        await _any_change(cases)
        woken = cases


async def _run(index: int, case: AnyCase, woken: tuple[AnyCase, ...]) -> Any:
    try:
        arguments = case.take()
    finally:
        _pass_on(woken)
    if case.handler is None:
        return Selected(index, arguments[0] if arguments else None)
    result = case.handler(*arguments)
    return await result if inspect.isawaitable(result) else result


async def _any_change(cases: tuple[AnyCase, ...]) -> None:
    """Wait until something happened to one of the cases."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        for case in cases:
            case.watch(waiting)
        await waiting
    except asyncio.CancelledError:
        _pass_on(cases)
        raise
    finally:
        for case in cases:
            case.unwatch(waiting)


def _pass_on(cases: tuple[AnyCase, ...]) -> None:
    for case in cases:
        case.pass_on()


def _wake(waiting: asyncio.Future[None], _: object) -> None:
    if not waiting.done():
        waiting.set_result(None)


__all__ = [
    "AnyCase",
    "ChannelClosed",
    "Selected",
    "on_receive",
    "on_result",
    "on_send",
    "otherwise",
    "select",
]
