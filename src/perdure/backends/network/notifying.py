"""Two threads for notices between processes: one tells, one listens. Both may fail for a while: the store is polled as well."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container
from concurrent.futures import Future

from perdure.backends.network.link import Herald, Listener
from perdure.backends.network.reconnecting import Reconnecting
from perdure.backends.notices import Outgoing
from perdure.backends.wakes import Wakes
from perdure.clock import new_dice

_log = logging.getLogger("perdure.store")

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 5.0
_STEADY_SECONDS = 10.0  # so long a connection must have held, for the next pause to be a short one again


class Announcer:
    """Tells other processes what commits made ready, one notice at a time: the next one gathers meanwhile."""

    def __init__(self, herald: Herald, name: str, origin: bytes, own_workers: Container[int | None]) -> None:
        self._herald = herald
        self._connection = Reconnecting(herald, f"{name} (notices)")
        self._outgoing = Outgoing(origin)
        self._own_workers = own_workers
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._is_over = False
        self.ended: Future[None] = Future()
        """Done when the connection is let go of."""
        self.ended.set_running_or_notify_cancel()
        self._thread = threading.Thread(target=self._main, name=f"perdure notifies {name}", daemon=True)
        self._thread.start()

    def add(self, wakes: Wakes) -> None:
        """From the thread that writes: this is committed."""
        with self._lock:
            self._outgoing.add(wakes, self._own_workers)
            if self._outgoing:
                self._has_some.set()

    def end(self) -> None:
        """It ends by itself a moment later."""
        self._is_over = True
        self._has_some.set()

    def _main(self) -> None:
        while True:
            self._has_some.wait()
            with self._lock:
                self._has_some.clear()
                notice = self._outgoing.take()
            if notice is not None:
                self._send(notice)
            if self._is_over:
                break
        self._herald.close()
        self.ended.set_result(None)

    def _send(self, notice: bytes) -> None:
        try:
            self._connection.ensure()
            self._herald.notify(notice)
        except Exception as problem:
            self._connection.lost(problem)  # polling brings what this would have told


class Ear:
    """Listens until it is ended, again and again."""

    def __init__(self, listener: Listener, name: str, tell: Callable[[bytes | None], None]) -> None:
        self._listener = listener
        self._name = name
        self._tell = tell
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._main, name=f"perdure listens {name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """It ends by itself a moment later."""
        self._is_over.set()

    def _main(self) -> None:
        dice, failures = new_dice(), 0
        while not self._is_over.is_set():
            began = time.monotonic()
            try:
                self._listener.listen(self._tell, self._is_over)
            except Exception as problem:
                if self._is_over.is_set():
                    break
                if time.monotonic() - began > _STEADY_SECONDS:
                    failures = 0
                level = logging.INFO if failures else logging.WARNING
                _log.log(
                    level,
                    "no notices of %s, it is polled meanwhile: %s: %s",
                    self._name,
                    type(problem).__name__,
                    problem,
                )
                longest = min(_FIRST_SECONDS * 2.0**failures, _LONGEST_SECONDS)
                failures = min(failures + 1, 10)
                self._is_over.wait(longest * dice.uniform(0.5, 1.0))
