"""What a process asks of partitions by itself: parts of what a caller has asked of all of them, and letters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from perdure.backends.answers import may_have_happened
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


def errors_of(errands: Sequence[Errand]) -> list[BaseException]:
    """Of those that failed."""
    return [errand.error for errand in errands if errand.error is not None]


def error_among(errands: Sequence[Errand]) -> BaseException | None:
    """The one to tell of them as a whole: what is for good before what passes, and before all others that something may be done.

    It never says that nothing is written if a part of it is.
    """
    errors = errors_of(errands)
    error = min(errors, key=_rank, default=None)
    if len(errors) < len(errands) and isinstance(error, StoreUnavailable) and error.is_unwritten:
        return StoreUnavailable(f"A part of it wasn't carried out, others were: repeat it. {error}")
    return error


def _rank(error: BaseException) -> int:
    return 0 if may_have_happened(error) else 2 if isinstance(error, StoreUnavailable) else 1


def outcomes_of(errands: Sequence[Errand]) -> list[Any]:
    return [errand.outcome for errand in errands]
