"""An event loop in a thread of its own, for code that has none.

What is called runs there as a task, in a copy of the caller's context variables; the caller's thread waits. So it works in any
thread, also in one whose own event loop is running (a notebook's), which stands still meanwhile as it would for any plain call.
A forked child has no such thread: to it, its parent's portals are closed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from importlib import import_module
from typing import Any, Generic, TypeVar

from perdure.errors import ConfigurationError

T = TypeVar("T")
C = TypeVar("C")

_open: set[Portal[Any]] = set()
_inherited: list[Portal[Any]] = []


class Portal(Generic[C]):
    """Keeps what `make` gives open, on a loop of its own, until it is closed or the process ends. For any thread."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[C]], name: str) -> None:
        """Returns when it is open. Raises what opening raises."""
        self._make = make
        self._lock = threading.RLock()  # a finalizer may close it while this very thread has the lock
        self._is_closing = False
        self._closing: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._opened: Future[C] = Future()
        # A daemon: the interpreter waits for other threads before it tells anybody that it is about to end.
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._content: C = _outcome(self._opened)
        _open.add(self)

    @property
    def is_open(self) -> bool:
        return self in _open

    def call(self, function: Callable[[C], Coroutine[Any, Any, T]]) -> T:
        """What the coroutine returns or raises. A caller that is interrupted cancels it, and doesn't wait for its end.

        Raises ConfigurationError on the portal's own thread, which would wait for itself, and if the portal is closed meanwhile.
        """
        if threading.current_thread() is self._thread:
            raise ConfigurationError(
                "a synchronous client was called by code that runs on that client's own event loop"
            )
        outcome: Future[T] = Future()
        with self._lock:
            if self._is_closing:
                raise _closed()
            self._loop.call_soon_threadsafe(self._begin, function, outcome)
        try:
            return _outcome(outcome)
        except CancelledError:
            raise _closed() from None
        finally:
            del outcome  # it knows the exception, whose traceback leads here: no cycle is left to the garbage collector

    def close(self) -> None:
        """Cancel the calls that are under way, and close what is open. Returns when all is done."""
        self.close_nowait()
        self._thread.join()

    def close_nowait(self) -> None:
        """The same without waiting: for finalizers, which may run on any thread."""
        if not self._thread.is_alive():  # in a forked child, too
            return
        with self._lock:
            _open.discard(self)
            if not self._is_closing:
                self._is_closing = True
                self._loop.call_soon_threadsafe(self._closing.set)  # behind what has come before

    # --- on its thread

    def _main(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve())
        except BaseException as problem:
            if self._opened.done():
                raise
            self._opened.set_exception(problem)

    async def _serve(self) -> None:
        self._closing = asyncio.Event()
        async with self._make() as content:
            if not self._opened.set_running_or_notify_cancel():
                return
            self._opened.set_result(content)
            await self._closing.wait()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def _begin(self, function: Callable[[C], Coroutine[Any, Any, T]], outcome: Future[T]) -> None:
        try:
            task = self._loop.create_task(function(self._content))
        except BaseException as problem:
            outcome.set_exception(problem)
            return
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, outcome))
        outcome.add_done_callback(partial(self._left, task))

    def _ended(self, outcome: Future[T], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        problem = None if task.cancelled() else task.exception()
        if task.cancelled():
            outcome.cancel()
        elif not outcome.set_running_or_notify_cancel():
            return  # the caller has left
        elif problem is None:
            outcome.set_result(task.result())
        else:
            outcome.set_exception(problem)

    def _left(self, task: asyncio.Task[T], outcome: Future[T]) -> None:
        """From any thread."""
        if outcome.cancelled() and not task.done():
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(task.cancel)


def _outcome(future: Future[T]) -> T:
    """Its result, or its exception without the frames of `concurrent.futures`."""
    try:
        problem = future.exception()
    except BaseException:  # Ctrl-C, say
        future.cancel()
        raise
    if problem is None:
        return future.result()
    try:
        raise problem
    finally:
        del future, problem  # its traceback leads here: no cycle is left to the garbage collector


def _closed() -> ConfigurationError:
    return ConfigurationError("this client was closed meanwhile: what was asked of it has taken place, or hasn't")


def _close_all() -> None:
    for portal in list(_open):
        portal.close()


def _forget_in_child() -> None:
    # Kept, so that no finalizer touches the parent's connections from here.
    _inherited.extend(_open)
    _open.clear()


# Closing a store needs executors. These end before `atexit`, and after what was registered in this way when they were loaded already.
import_module("concurrent.futures.thread")
# 3.12.0 and 3.12.1 begin no thread at that time (gh-113964): there what is open ends with the process, as if it was killed.
if not (3, 12) <= sys.version_info < (3, 12, 2):
    getattr(threading, "_register_atexit", atexit.register)(_close_all)
if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_forget_in_child)
