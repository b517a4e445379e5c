"""Threads for activities that are plain functions.

Not a ThreadPoolExecutor: the interpreter joins its threads at exit, so that one hung activity would keep a stopped worker
from ending. These are daemons; what still runs in them at exit has lost its lease and is run again elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_IDLE_SECONDS = 30.0


class Threads:
    """Up to `limit` threads, made when needed, gone when idle for a while. Used from one event loop."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._lock = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._count = 0
        self._idle = 0
        self._made = 0
        self._is_closed = False

    @property
    def waiting_count(self) -> int:
        """Jobs that no thread has begun yet."""
        return len(self._jobs)

    def run(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        """Run `job`, which doesn't raise, in a thread, and then call `done` on the event loop that called this."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                job()
            finally:
                with suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
                    loop.call_soon_threadsafe(done)

        with self._lock:
            self._jobs.append(work)
            if self._idle >= len(self._jobs):
                self._lock.notify()
            elif self._count < self._limit:
                self._count += 1
                self._made += 1
                threading.Thread(target=self._serve, name=f"{self._name}-{self._made}", daemon=True).start()

    def close(self) -> None:
        """Let idle threads end; busy ones end with what they do."""
        with self._lock:
            self._is_closed = True
            self._jobs.clear()
            self._lock.notify_all()

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                has_job = self._lock.wait_for(lambda: self._jobs or self._is_closed, _IDLE_SECONDS)
                self._idle -= 1
                if not has_job or not self._jobs:
                    self._count -= 1
                    return
                work = self._jobs.popleft()
            work()
            del work  # else the last activity's arguments live as long as the thread is idle
