"""The garbage collector of a process that does nothing but work."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

_YOUNG_OBJECTS = 50_000
"""Executions in memory are many small objects that live long: at the usual 700 the collector looks at them all the time."""


@contextmanager
def calm_collector() -> Generator[None, None, None]:
    """What is loaded now is never looked at again, and the rest seldom. Undone at the end."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
