"""What a process asks of partitions by itself: parts of what a caller has asked of all of them, and letters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from perdure.backends.group_commit import Job
from perdure.errors import StoreUnavailable

Then = Callable[["Errand"], None]


class Errand(Job):
    """A job of nobody's event loop: when it is settled, `then` is called in the thread of the writer."""

    __slots__ = ("then",)

    def __init__(self, work: object, then: Then) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.work = work
        self.then = then
        self.outcome = None
        self.error = None


class Gathering:
    """Errands of which the last one that is settled goes on."""

    def __init__(self, works: Sequence[object], ended: Callable[[list[Errand]], None]) -> None:
        self._lock = threading.Lock()
        self._left = len(works)
        self._ended = ended
        self.errands = [Errand(work, self._settled) for work in works]

    def _settled(self, errand: Errand) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        self._ended(self.errands)


def error_among(errands: Sequence[Errand]) -> BaseException | None:
    """The one to tell: what is for good before what passes."""
    errors = [errand.error for errand in errands if errand.error is not None]
    return min(errors, key=lambda error: isinstance(error, StoreUnavailable), default=None)


def outcomes_of(errands: Sequence[Errand]) -> list[Any]:
    return [errand.outcome for errand in errands]
