"""Several worker processes and their watch.

The watch does no work itself. A process that ends, for whatever reason, is started again: at once if it had run for a
while, else after a pause that doubles, so that what breaks at every start doesn't eat the machine. On SIGTERM or Ctrl-C
the processes get SIGTERM, which workers take as: stop gracefully; the watch waits for them, and kills them on a second
signal. They are in process groups of their own, so that Ctrl-C at a terminal reaches the watch alone and none gets two
signals. If the watch itself is killed, its processes notice and stop gracefully: nobody would start them again.

A process that ends with `NO_USE` says that no other one would do better; then the watch stops them all.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

import click

from perdure.clock import Clock, SystemClock

_STEADY_SECONDS = 10.0
"""A process that ran so long had begun well."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
NO_USE = 78
"""The exit code for: it isn't the process, the configuration is wrong (EX_CONFIG of sysexits.h)."""


class Watch:
    """Keeps `count` processes running `target` until a signal says to stop."""

    def __init__(self, target: Callable[[], None], count: int, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._seats = [_Seat(target, place, self._clock) for place in range(count)]
        self._heard = 0
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)

    def run(self) -> bool:
        """Returns when every process has ended: after a signal, or, False, when one said that there is no use."""
        previous = {number: signal.signal(number, self._hear) for number in _signals()}
        try:
            while not self._heard and not self._has_no_use():
                self._look()
            self._stop()
            return not self._has_no_use()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._woken.close()
            self._waker.close()

    def _hear(self, number: int, frame: object) -> None:
        self._heard += 1
        with suppress(BlockingIOError):  # full: it is going to wake anyway
            self._waker.send(b"!")

    def _look(self) -> None:
        """Start what should run, and wait until something happens."""
        for seat in self._seats:
            seat.fill()
        if not self._has_no_use():
            self._wait_for_end()

    def _has_no_use(self) -> bool:
        return any(seat.has_no_use for seat in self._seats)

    def _wait_for_end(self) -> None:
        self._wait(min((seat.pause_seconds() for seat in self._seats), default=None, key=_soonest))

    def _wait(self, timeout_seconds: float | None) -> None:
        ready = wait(
            [self._woken, *(seat.sentinel for seat in self._seats if seat.sentinel is not None)], timeout_seconds
        )
        if self._woken in ready:
            self._woken.recv(64)

    def _stop(self) -> None:
        click.echo("Stopping gracefully; once more to stop at once.", err=True)
        for seat in self._seats:
            seat.ask_to_stop()
        while any(seat.is_running() for seat in self._seats):
            if self._heard > 1:
                for seat in self._seats:
                    seat.kill()
            self._wait(None)


class _Seat:
    """The place of one process, and of those that follow it."""

    def __init__(self, target: Callable[[], None], place: int, clock: Clock) -> None:
        self._target = target
        self._place = place
        self._clock = clock
        self._process: SpawnProcess | None = None
        self._started_at = 0.0
        self._next_start_at = 0.0
        self._short_lives = 0
        self.has_no_use = False

    @property
    def sentinel(self) -> int | None:
        """Ready when the process has ended."""
        return None if self._process is None else self._process.sentinel

    def fill(self) -> None:
        """Start a process if there is none and the pause is over."""
        if self._process is not None and not self._process.is_alive():
            self._note_end(self._process)
        if self._process is None and not self.has_no_use and self._clock.monotonic() >= self._next_start_at:
            self._started_at = self._clock.monotonic()
            self._process = multiprocessing.get_context("spawn").Process(
                target=_work, args=(self._target,), name=f"perdure worker {self._place + 1}"
            )
            self._process.start()

    def pause_seconds(self) -> float | None:
        """How long until the next start; None while a process runs."""
        return None if self._process is not None else max(0.0, self._next_start_at - self._clock.monotonic())

    def is_running(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def ask_to_stop(self) -> None:
        if self._process is not None and self.is_running():
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None and self.is_running():
            self._process.kill()

    def _note_end(self, process: SpawnProcess) -> None:
        self._process = None
        if process.exitcode == NO_USE:
            self.has_no_use = True
            return
        is_steady = self._clock.monotonic() - self._started_at >= _STEADY_SECONDS
        self._short_lives = 0 if is_steady else self._short_lives + 1
        pause = 0.0 if is_steady else min(_FIRST_PAUSE_SECONDS * 2.0 ** (self._short_lives - 1), _LONGEST_PAUSE_SECONDS)
        self._next_start_at = self._clock.monotonic() + pause
        again = f"in {pause:g} s" if pause else "now"
        click.echo(f"Worker process {process.pid} {_how(process.exitcode)}; the next one starts {again}.", err=True)
        process.close()


def _work(target: Callable[[], None]) -> None:
    """The life of a process."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_follow, args=(parent.join,), name="perdure-watch-of-the-watch", daemon=True).start()
    target()


def _follow(join: Callable[[], None]) -> None:
    """End with the parent."""
    join()
    os.kill(os.getpid(), signal.SIGTERM)


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _soonest(pause: float | None) -> float:
    return float("inf") if pause is None else pause


def _signals() -> tuple[int, ...]:
    return (signal.SIGINT, signal.SIGTERM)
