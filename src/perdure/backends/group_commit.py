"""Group commit: many callers' writes share one transaction, and yet each has its own outcome.

The rules:

- A caller hands in a *job* and awaits its answer. All that one turn of the event loop hands in goes over at once.
- The committer takes whatever is waiting when its previous commit has returned. There is no timer and no window: a
  lonely job commits at once, and the slower the disk is, the larger the batches become.
- A batch is bounded in number, and by the store in bytes; what doesn't fit waits for the next one.
- If a batch fails as a whole, it is rolled back and tried in halves, until the job that can't be written stands alone.
  A job may therefore be applied several times before it is committed once: applying has no effect outside the
  transaction.
- Outcomes go back by one call into each event loop per batch, after the commit.

A job whose caller was cancelled is carried out all the same: the caller can't know how far it had come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from perdure.backends.answers import Answer, failed
from perdure.errors import PerdureError, StoreError, StoreUnavailable

J = TypeVar("J")

LARGEST_BATCH = 1_000


@runtime_checkable
class Watchable(Protocol):
    """A store that commits batches, and tells of them."""

    def watch_commits(self, told: Callable[[int, float], None]) -> None:
        """From now on call it, on the store's event loop, with the size of each batch and how long its first job took, in seconds."""
        ...


class Job(Answer[Any]):
    """Something to carry out in a transaction, and its answer. `work` is the store's own kind of thing."""

    __slots__ = ("begun_at", "mailbox", "work")

    begun_at: float
    """Set if somebody wants to know how long it took."""

    def __init__(self, work: object, mailbox: Mailbox) -> None:
        super().__init__(mailbox.loop)
        self.work = work
        self.mailbox = mailbox


class Mailbox:
    """One event loop's side of a committer: collects the jobs of a turn, and settles those that come back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hand_over: Callable[[list[Job]], None]) -> None:
        self.loop = loop
        self._hand_over = hand_over
        self._waiting: list[Job] = []
        self._under_way = 0
        self._is_lonely = False
        """Whether the last job went over alone; the next one then doesn't wait for company, if nothing is under way."""
        self._drained: asyncio.Future[None] | None = None
        self._refusal: StoreUnavailable | None = None
        self.watch: Callable[[int, float], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether jobs are under way."""
        return self._under_way > 0 or bool(self._waiting)

    def submit(self, work: object) -> Answer[Any]:
        """The answer to `work`. It goes over with all else of this turn of the loop. Raises nothing."""
        if self._refusal is not None:
            return failed(self.loop, self._refusal.with_traceback(None))
        job = Job(work, self)
        if self.watch is not None:
            job.begun_at = self.loop.time()
        waiting = self._waiting
        waiting.append(job)
        if len(waiting) == 1:
            if self._is_lonely and not self._under_way:
                self.flush()
            else:
                self.loop.call_soon(self.flush)
        return job

    def refuse(self, reason: StoreUnavailable) -> None:
        """Take no more jobs."""
        self._refusal = reason

    def flush(self) -> None:
        """Hand over what has gathered."""
        waiting = self._waiting
        if waiting:
            self._waiting = []
            self._is_lonely = len(waiting) == 1
            self._under_way += len(waiting)
            self._hand_over(waiting)

    def settle(self, jobs: list[Job]) -> None:
        """Tell the callers how their jobs went; on their event loop."""
        self._under_way -= len(jobs)
        if self.watch is not None:
            self._tell_of(jobs, self.watch)
        for job in jobs:
            job.settle()
        if self._drained is not None and not self._under_way and not self._drained.done():
            self._drained.set_result(None)

    def _tell_of(self, jobs: list[Job], watch: Callable[[int, float], None]) -> None:
        begun_at = getattr(jobs[0], "begun_at", None)  # None: handed in before anybody wanted to know
        if begun_at is not None:
            watch(len(jobs), self.loop.time() - begun_at)

    async def drain(self) -> None:
        """Take no more jobs, and return when all that were handed in are settled."""
        self.refuse(StoreUnavailable("This store has been closed; nothing was written.", is_unwritten=True))
        self.flush()
        if self._under_way:
            self._drained = self.loop.create_future()
            await self._drained


class Backlog:
    """What is waiting for the committer, in order of arrival."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, jobs: Iterable[Job]) -> None:
        self._jobs.extend(jobs)

    def take_if(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        """Those that are wanted; the others keep their places."""
        found = [job for job in self._jobs if is_wanted(job)]
        if found:
            self._jobs = deque(job for job in self._jobs if job not in found)
        return found

    def put_back(self, jobs: list[Job]) -> None:
        """These come first again: they didn't fit into the batch."""
        self._jobs.extendleft(reversed(jobs))

    def take(self, largest: int = LARGEST_BATCH) -> list[Job]:
        """The next batch."""
        jobs = self._jobs
        if len(jobs) <= largest:
            batch = list(jobs)
            jobs.clear()
            return batch
        return [jobs.popleft() for _ in range(largest)]


class Halves(Generic[J]):
    """Which part of a batch to try next, when parts of it can fail; in order of arrival.

    Nothing here commits: the committer takes a part, tries it, and reports a failure.
    """

    def __init__(self, batch: list[J]) -> None:
        self._parts = [batch] if batch else []

    def take(self) -> list[J] | None:
        """The next part to try; None if nothing is left."""
        return self._parts.pop() if self._parts else None

    def failed(self, part: list[J]) -> J | None:
        """The part was rolled back. The culprit, if it stands alone; else its halves are tried next."""
        if len(part) == 1:
            return part[0]
        middle = len(part) // 2
        self._parts += [part[middle:], part[:middle]]
        return None

    def without(self, part: list[J], culprits: Collection[J]) -> None:
        """The part was rolled back because of these jobs: the others are tried again."""
        rest = [job for job in part if job not in culprits]
        if rest:
            self._parts.append(rest)


def as_store_error(problem: BaseException) -> BaseException:
    """What the caller of a job that failed alone gets: perdure's own errors as they are, others explained."""
    if isinstance(problem, PerdureError) or not isinstance(problem, Exception):
        return problem
    error = StoreError(
        f"The store couldn't write this: {type(problem).__name__}: {problem}. Nothing of it was written; the value or "
        f"the code that made it must change, repeating it won't help."
    )
    error.__cause__ = problem
    return error
