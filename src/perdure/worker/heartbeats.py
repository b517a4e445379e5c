"""The heartbeats of one attempt: cheap to send, few of them stored, and missed when they stay away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from perdure.errors import StoreError
from perdure.model.transition import Heartbeat

_MOST_SECONDS_BETWEEN = 5.0
_LEAST_SECONDS_BETWEEN = 0.05

Send = Callable[[bytes | None], Awaitable[Heartbeat]]
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Heartbeats:
    """Sends the first beat at once and then the last one of every few seconds; used on the event loop alone.

    `send` records details; what it answers goes to `heard`. `missed` is called when no beat came for the time-out.
    """

    def __init__(
        self,
        *,
        details: bytes | None,
        timeout_seconds: float | None,
        send: Send,
        heard: Callable[[Heartbeat], None],
        missed: Callable[[], None],
        spawn: Spawn,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._details = details
        self._timeout = timeout_seconds
        self._pause = _MOST_SECONDS_BETWEEN
        if timeout_seconds is not None:
            self._pause = min(max(timeout_seconds / 2, _LEAST_SECONDS_BETWEEN), _MOST_SECONDS_BETWEEN)
        self._send = send
        self._heard = heard
        self._missed = missed
        self._spawn = spawn
        self._has_news = False
        self._is_stopped = False
        self._sending: asyncio.Task[None] | None = None
        self._next_send: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._last_beat_at = 0.0
        self._last_send_at = float("-inf")

    def start(self) -> None:
        """From here on beats can be missed."""
        self._last_beat_at = self._loop.time()
        if self._timeout is not None and not self._is_stopped:
            self._watch = self._loop.call_later(self._timeout, self._look, self._timeout)

    def beat(self, details: bytes | None) -> None:
        """The attempt is alive; None leaves the details as they are."""
        if self._is_stopped:
            return
        self._last_beat_at = self._loop.time()
        if details is not None:
            self._details = details
        self._has_news = True
        self._send_soon()

    def stop(self) -> None:
        """The attempt has ended: nothing is missed, and nothing sent but by `flush`."""
        self._is_stopped = True
        for handle in (self._watch, self._next_send):
            if handle is not None:
                handle.cancel()

    async def flush(self) -> None:
        """Record what isn't recorded yet, for the next attempt. Raises StoreError."""
        if self._sending is not None:
            await asyncio.wait((self._sending,))
        if self._has_news:
            await self._send(self._details)
            self._has_news = False

    def _send_soon(self) -> None:
        if self._sending is None and self._next_send is None and not self._is_stopped:
            pause = max(0.0, self._last_send_at + self._pause - self._loop.time())
            self._next_send = self._loop.call_later(pause, self._begin_send)

    def _begin_send(self) -> None:
        self._next_send = None
        self._last_send_at = self._loop.time()
        self._has_news = False
        self._sending = self._spawn(self._send_once())

    async def _send_once(self) -> None:
        try:
            answer = await self._send(self._details)
        except StoreError:  # said once by those who poll; the beat goes with the next one
            self._has_news = True
        else:
            self._heard(answer)
        finally:
            self._sending = None
        if self._has_news:
            self._send_soon()

    def _look(self, timeout: float) -> None:
        left = self._last_beat_at + timeout - self._loop.time()
        if left <= 0:
            self._missed()
        else:
            self._watch = self._loop.call_later(left, self._look, timeout)
