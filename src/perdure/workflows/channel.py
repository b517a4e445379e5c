"""Channels between the tasks of one workflow.

A value is never handed to a task that may be cancelled before it runs: it stays where it is, the receiver is woken and
takes it then. So a cancelled or timed-out receive loses nothing; at worst a woken receiver finds nothing and waits on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

from perdure.errors import PerdureError

T = TypeVar("T")


class ChannelClosed(PerdureError):
    """The channel is closed: nothing can be sent, and nothing is left to receive."""


class ChannelEmpty(PerdureError):
    """Nothing can be received now."""


class ChannelFull(PerdureError):
    """Nothing can be sent now without waiting."""


class Waiters:
    """Tasks that wait for their turn, in order; one of them leaves as fast as a thousand."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether one of them still waits."""
        return any(not future.done() for future in self._futures)

    def add(self, future: asyncio.Future[None]) -> None:
        self._futures[future] = None

    def discard(self, future: asyncio.Future[None]) -> None:
        self._futures.pop(future, None)

    def wake_next(self) -> bool:
        """Wake the first that still waits; whether there was one."""
        while self._futures:
            future, _ = self._futures.popitem(last=False)
            if not future.done():
                future.set_result(None)
                return True
        return False

    def wake_all(self) -> None:
        while self.wake_next():
            pass


class Channel(Generic[T]):
    """A first-in, first-out channel. Unbuffered (capacity 0), a send waits until a receiver has taken the value.

    `async for value in channel` receives until the channel is closed and empty.
    """

    def __init__(self, capacity: int | None = 0) -> None:
        """`capacity` is how many values wait without blocking their senders; None is without limit."""
        self._capacity = capacity
        self._buffer: deque[T] = deque()
        self._sending: deque[tuple[T, asyncio.Future[None]]] = deque()
        self.receivers: Waiters = Waiters()
        """Who waits to receive; select waits here too."""
        self.senders: Waiters = Waiters()
        """Selects that wait to send."""
        self._is_closed = False

    def __len__(self) -> int:
        """Values that wait in the buffer."""
        return len(self._buffer)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def send(self, value: T) -> None:
        """Send, waiting for room or, unbuffered, for a receiver. Raises ChannelClosed. Cancelled: nothing was sent."""
        if self.can_send():
            self.send_nowait(value)
            return
        self._check_open()
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (value, taken)
        self._sending.append(entry)
        self.receivers.wake_next()
        try:
            await taken
        except asyncio.CancelledError:
            if taken.done() and not taken.cancelled():
                raise  # it was received: the send is complete, and the cancel has its due
            self._sending = deque(each for each in self._sending if each is not entry)
            raise

    def send_nowait(self, value: T) -> None:
        """Send if that needs no waiting. Raises ChannelFull, ChannelClosed."""
        self._check_open()
        if not self.can_send():
            raise ChannelFull("the channel has no room and nobody is receiving")
        self._buffer.append(value)
        self.receivers.wake_next()

    async def receive(self) -> T:
        """The next value; waits for one. Raises ChannelClosed once the channel is closed and empty."""
        while not self.can_receive():
            self._check_open()
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.watch(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                self.pass_on()  # the wake-up may have been meant for the value that stays
                raise
            finally:
                self.unwatch(waiting)
        return self.receive_nowait()

    def receive_nowait(self) -> T:
        """The next value if there is one. Raises ChannelEmpty, ChannelClosed."""
        if self._buffer:
            value = self._buffer.popleft()
            self._admit_sender()
            return value
        while self._sending:
            value, taken = self._sending.popleft()
            if not taken.done():
                taken.set_result(None)
                return value
        self._check_open()
        raise ChannelEmpty("nothing to receive")

    def close(self) -> None:
        """No more sends. What was sent can be received; senders that wait get ChannelClosed."""
        self._is_closed = True
        for _, taken in self._sending:
            if not taken.done():
                taken.set_exception(ChannelClosed("the channel was closed while a send waited"))
        self._sending.clear()
        self.receivers.wake_all()
        self.senders.wake_all()

    def can_send(self) -> bool:
        """Whether send_nowait would work."""
        if self._is_closed:
            return False
        if self._capacity is None or len(self._buffer) < self._capacity:
            return True
        return self._capacity == 0 and bool(self.receivers)  # each waiting one takes one value beyond the capacity

    def can_receive(self) -> bool:
        """Whether receive_nowait would give a value."""
        return bool(self._buffer) or any(not taken.done() for _, taken in self._sending)

    def watch(self, waiting: asyncio.Future[None]) -> None:
        """Wake `waiting` once there is something to receive."""
        self.receivers.add(waiting)
        self.senders.wake_next()  # a receiver has come: an unbuffered channel takes a value now

    def unwatch(self, waiting: asyncio.Future[None]) -> None:
        self.receivers.discard(waiting)

    def pass_on(self) -> None:
        """Somebody was woken and took nothing: wake the next one, if there is something."""
        if self.can_receive():
            self.receivers.wake_next()

    def __aiter__(self) -> Channel[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except ChannelClosed:
            raise StopAsyncIteration from None

    def _admit_sender(self) -> None:
        """There is room for one more."""
        if not self._capacity:
            return
        while self._sending:
            value, taken = self._sending.popleft()
            if not taken.done():  # else it was cancelled a moment ago
                self._buffer.append(value)
                taken.set_result(None)
                return
        self.senders.wake_next()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ChannelClosed("the channel is closed")
