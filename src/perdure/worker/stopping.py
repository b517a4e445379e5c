"""How a worker is asked to stop: gracefully, or at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from perdure.worker.waiting import wait_for_event

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """First `request`, then perhaps `hurry`; both may be repeated. Used on one event loop."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self._hurried = asyncio.Event()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    @property
    def is_hurried(self) -> bool:
        return self._hurried.is_set()

    def request(self) -> None:
        """Stop gracefully."""
        self._requested.set()

    def hurry(self) -> None:
        """Stop at once: without a grace period."""
        self._requested.set()
        self._hurried.set()

    def request_or_hurry(self) -> None:
        """What a signal means: gracefully the first time, at once the second."""
        if self.is_requested:
            self.hurry()
        else:
            self.request()

    async def wait(self) -> None:
        """Until a stop is requested."""
        await self._requested.wait()

    async def wait_at_most(self, seconds: float) -> None:
        """Until a stop is requested, or so long."""
        await wait_for_event(self._requested, seconds)

    async def wait_for_hurry(self) -> None:
        """Until it must be at once."""
        await self._hurried.wait()


@contextmanager
def stop_on_signals(stop: StopRequest) -> Generator[None, None, None]:
    """SIGTERM and Ctrl-C request the stop, a second one hurries it. Only on the main thread, which alone gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.request_or_hurry)

    for each in _SIGNALS:
        _install(loop, each, stop, handle)
    try:
        yield
    finally:
        for each, handler in before.items():
            _remove(loop, each)
            signal.signal(each, signal.SIG_DFL if handler is None else handler)


def _install(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, stop: StopRequest, handle: signal._HANDLER
) -> None:
    try:
        loop.add_signal_handler(number, stop.request_or_hurry)
    except NotImplementedError:  # Windows
        signal.signal(number, handle)


def _remove(loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
    with suppress(NotImplementedError):
        loop.remove_signal_handler(number)
