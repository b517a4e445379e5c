"""`select`: wait until one of several things can be done, and do it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, cast

from perdure.errors import ConfigurationError
from perdure.workflows.channel import Channel, ChannelClosed, Waiters
from perdure.workflows.signal_channel import SignalChannel

T = TypeVar("T")


class Case(Protocol):
    """One of the things that select waits for. Its `run` gives the result of the case's handler."""

    def is_ready(self) -> bool: ...

    def waiters(self) -> Waiters | None:
        """Where to wait for it; None for a future, which calls back itself."""
        ...

    def take(self) -> Any:
        """Do it, and give the arguments for the handler."""
        ...


class Selected(Generic[T]):
    """What select returns for a case without a handler: the case's place, from 0, and its value."""

    __slots__ = ("index", "value")
    __match_args__ = ("index", "value")

    def __init__(self, index: int, value: T) -> None:
        self.index = index
        self.value = value

    def __repr__(self) -> str:
        return f"Selected(index={self.index}, value={self.value!r})"


class AwaitCase(Generic[T]):
    """A future, task or command has ended; its exception is raised by select, as an await would."""

    __slots__ = ("future", "handler")

    def __init__(self, future: asyncio.Future[T], handler: Callable[[T], Any] | None = None) -> None:
        if not asyncio.isfuture(future):
            raise ConfigurationError(f"select awaits futures and tasks, not {future!r}: wrap it in asyncio.create_task(…)")
        self.future = future
        self.handler = handler

    def is_ready(self) -> bool:
        return self.future.done()

    def waiters(self) -> Waiters | None:
        return None

    def take(self) -> tuple[Any, ...]:
        return (self.future.result(),)


class ReceiveCase(Generic[T]):
    """A value can be received. A closed, empty channel is ready too: it raises ChannelClosed."""

    __slots__ = ("channel", "handler")

    def __init__(self, channel: Channel[T] | SignalChannel[T], handler: Callable[[T], Any] | None = None) -> None:
        self.channel = channel
        self.handler = handler

    def is_ready(self) -> bool:
        return self.channel.can_receive() or getattr(self.channel, "is_closed", False)

    def waiters(self) -> Waiters | None:
        if isinstance(self.channel, Channel):
            self.channel.senders.wake_next()  # a receiver has come
        return self.channel.receivers

    def take(self) -> tuple[Any, ...]:
        return (self.channel.receive_nowait(),)


class SendCase(Generic[T]):
    """A value can be sent."""

    __slots__ = ("channel", "handler", "value")

    def __init__(self, channel: Channel[T], value: T, handler: Callable[[], Any] | None = None) -> None:
        self.channel = channel
        self.value = value
        self.handler = handler

    def is_ready(self) -> bool:
        return self.channel.can_send() or self.channel.is_closed

    def waiters(self) -> Waiters | None:
        return self.channel.senders

    def take(self) -> tuple[Any, ...]:
        self.channel.send_nowait(self.value)
        return ()


class DefaultCase:
    """Always ready: it is taken if no case before it is."""

    __slots__ = ("handler",)

    def __init__(self, handler: Callable[[], Any] | None = None) -> None:
        self.handler = handler

    def is_ready(self) -> bool:
        return True

    def waiters(self) -> Waiters | None:
        return None

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
    while True:
        for index, case in enumerate(cases):
            if case.is_ready():
                return await _run(index, case)
        await _any_change(cases)


async def _run(index: int, case: AnyCase) -> Any:
    arguments = case.take()
    if case.handler is None:
        return Selected(index, arguments[0] if arguments else None)
    result = case.handler(*arguments)
    return await result if inspect.isawaitable(result) else result


async def _any_change(cases: tuple[AnyCase, ...]) -> None:
    """Wait until something happened to one of the cases."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object) -> None:
        if not waiting.done():
            waiting.set_result(None)

    entered: list[Waiters] = []
    for case in cases:
        if isinstance(case, AwaitCase):
            case.future.add_done_callback(wake)
        elif (waiters := case.waiters()) is not None:
            waiters.add(waiting)
            entered.append(waiters)
    try:
        await waiting
    except asyncio.CancelledError:
        _pass_on(cases)
        raise
    finally:
        for case in cases:
            if isinstance(case, AwaitCase):
                case.future.remove_done_callback(wake)
        for waiters in entered:
            waiters.discard(waiting)


def _pass_on(cases: tuple[AnyCase, ...]) -> None:
    """Wake another receiver for a value that this cancelled select was woken for."""
    for case in cases:
        if isinstance(case, ReceiveCase) and case.channel.can_receive():
            case.channel.receivers.wake_next()


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
