"""The garbage collector of a process in which a worker runs.

Executions in memory are many small objects that live long, and what passes through is freed by reference counting. At Python's
usual threshold the collector would look at thousands of objects several times in each batch, for nothing.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

YOUNG_OBJECTS = 50_000
"""How many new containers make a collection."""


class _Threshold:
    """Raised while anybody wants it; a program that has set a higher one, or turned the collector off, keeps its own."""

    def __init__(self) -> None:
        self._holders = 0
        self._before = gc.get_threshold()
        self._lock = threading.Lock()

    def raise_it(self) -> None:
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < YOUNG_OBJECTS:
                    gc.set_threshold(YOUNG_OBJECTS, *self._before[1:])

    def restore(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and gc.get_threshold()[0] == YOUNG_OBJECTS:
                gc.set_threshold(*self._before)


_threshold = _Threshold()


@contextmanager
def patient_collector() -> Generator[None, None, None]:
    """It looks seldom, in any process with a worker. Undone when the last worker has ended."""
    _threshold.raise_it()
    try:
        yield
    finally:
        _threshold.restore()


@contextmanager
def frozen_heap() -> Generator[None, None, None]:
    """What is loaded now is never looked at again: for a process that does nothing but work. Undone at the end."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
