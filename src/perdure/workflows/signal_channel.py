"""The receiving end of a signal: every signal is kept, in order, until it is received."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from perdure.workflows.channel import ChannelEmpty, Waiters
from perdure.workflows.signal import Signal

T = TypeVar("T")


class SignalBuffer:
    """All unread signals of one name; channels on it share it."""

    __slots__ = ("payloads", "receivers")

    def __init__(self) -> None:
        self.payloads: deque[bytes] = deque()
        self.receivers: Waiters = Waiters()

    def put(self, payload: bytes) -> None:
        self.payloads.append(payload)
        self.receivers.wake_next()


class ReceiveScope(Protocol):
    """The context that a channel belongs to, as far as receiving goes."""

    def check(self, what: str) -> None:
        """Raise CancelledError if the context is cancelled."""
        ...

    def hold(self, waiting: asyncio.Future[Any]) -> None:
        """Cancel this future with the context."""
        ...

    def drop(self, waiting: asyncio.Future[Any]) -> None: ...


class SignalChannel(Generic[T]):
    """Receives one signal, first in, first out; without a limit, and none is lost to a cancel or a time-out.

    A payload that doesn't decode to the signal's type raises DecodeError at its receive, and is gone then.
    """

    def __init__(
        self, signal: Signal[T], buffer: SignalBuffer, scope: ReceiveScope, decode: Callable[[bytes, Any], Any]
    ) -> None:
        self._signal = signal
        self._buffer = buffer
        self._scope = scope
        self._decode = decode

    def __len__(self) -> int:
        """How many signals wait to be received."""
        return len(self._buffer.payloads)

    async def receive(self) -> T:
        """The next signal's value; waits for one."""
        while not self.can_receive():
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.watch(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                self.pass_on()  # the wake-up may have been for a signal that stays
                raise
            finally:
                self.unwatch(waiting)
        return self.receive_nowait()

    def receive_nowait(self) -> T:
        """The next signal's value, if one is there. Raises ChannelEmpty."""
        if not self._buffer.payloads:
            raise ChannelEmpty(f"no signal {self._signal.name!r} is waiting")
        value: T = self._decode(self._buffer.payloads.popleft(), self._signal.type)
        return value

    def can_receive(self) -> bool:
        """Whether receive_nowait would give a value."""
        return bool(self._buffer.payloads)

    def watch(self, waiting: asyncio.Future[None]) -> None:
        """Wake `waiting` for a signal, cancel it with the context. Raises CancelledError if the context is cancelled."""
        self._scope.check(f"receive of signal {self._signal.name!r}")
        self._buffer.receivers.add(waiting)
        self._scope.hold(waiting)

    def unwatch(self, waiting: asyncio.Future[None]) -> None:
        self._buffer.receivers.discard(waiting)
        self._scope.drop(waiting)

    def pass_on(self) -> None:
        """Somebody was woken and took nothing: wake the next one, if there is something."""
        if self.can_receive():
            self._buffer.receivers.wake_next()

    def __aiter__(self) -> SignalChannel[T]:
        return self

    async def __anext__(self) -> T:
        return await self.receive()
