"""`Partitions`: a writer for each partition of a store, together what one writer is for a store that has no parts.

- What is about one instance goes to the writer of its partition, in order of arrival; each has its batches, connection and back-off of
  its own, so that a node that is away holds up what lies there, and the process' threads wait side by side.
- What is about the store as a whole goes to all of them (`Chore` says how), and claims do as claim.py says.
- A worker is one of every partition: it has a row, a lease and heartbeats in each of them. So each partition knows by itself who is
  alive, and the fence of its batches, the generation in its header, rises when a worker is marked dead *there*; no word of another
  partition is needed before tokens change, and none can come too late. A worker that is dead in one of them is told so by its next
  heartbeat, for it lives as long as it does in all; until then what it holds in the others is its own.
- A store with one partition is one writer, and nothing comes between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from perdure.backends.committing import Tell
from perdure.backends.group_commit import Job
from perdure.backends.network.writer import Writer
from perdure.backends.partition import WHOLE, Partition
from perdure.backends.partitions.claim import WideClaim
from perdure.backends.partitions.courier import Courier, Receipt
from perdure.backends.partitions.errands import Errand, Gathering, error_among, outcomes_of
from perdure.backends.unit.chore import Chore
from perdure.backends.wakes import Wakes
from perdure.errors import StoreUnavailable
from perdure.model.transition import (
    Claimed,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    MarkStuck,
    RecordHeartbeat,
    ReleaseInstance,
)

Make = Callable[[int, Tell], Writer]


class Partitions:
    """The thread that writes, seen from desks, though it may be several."""

    def __init__(self, make: Make, count: Callable[[], int], tell: Tell, poll: Callable[[], None]) -> None:
        """`count` is asked when the first writer is open."""
        self.listen = poll
        self._make = make
        self._count = count
        self._tell = tell
        self._partition = WHOLE
        self._writers = [make(0, self._told)]
        self._opened: Future[None] = Future()
        self._courier = Courier(self._put_to, WHOLE)
        self._take: Callable[[list[Job]], None] = self._writers[0].put

    @property
    def commits(self) -> int:
        return sum(writer.commits for writer in self._writers)

    @property
    def count(self) -> int:
        """Of partitions."""
        return self._partition.count

    def give_up(self) -> None:
        """Nothing to do: commands have time-outs of their own."""

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess, for those who would else have to read."""
        return self._writers[self._partition.of_id(instance_id)].is_known_to_run(instance_id)

    # --- opening and closing

    def start(self) -> Future[None]:
        """Done when the store is open, or not."""
        self._writers[0].start().add_done_callback(self._first_opened)
        return self._opened

    def _first_opened(self, first: Future[None]) -> None:
        problem = first.exception()
        if problem is not None:
            self._opened.set_exception(problem)
            return
        count = self._count()
        if count == 1:
            self._writers[0].tell = self._tell
            self._opened.set_result(None)
            return
        self._partition = Partition(0, count)
        self._courier = Courier(self._put_to, self._partition)
        self._take = self._distribute
        self._writers += [self._make(number, self._told) for number in range(1, count)]
        _when_all([writer.start() for writer in self._writers[1:]], self._opened)

    def end(self) -> Future[None]:
        """Done when all that was put has been carried out, its letters have gone, and the store is closed."""
        closed: Future[None] = Future()
        if not self._courier.let_wait(None, lambda: self._end(closed)):
            self._end(closed)
        return closed

    def _end(self, closed: Future[None]) -> None:
        _when_all([writer.end() for writer in self._writers], closed)

    def when_delivered(self, go_on: Callable[[], None]) -> bool:
        """Whether letters are under way; then `go_on` is called when they have arrived, from any thread."""
        return self._courier.let_wait(None, go_on)

    # --- from event loops

    def put(self, item: list[Job]) -> None:
        """Carry these out."""
        self._take(item)

    def _distribute(self, jobs: list[Job]) -> None:
        by_partition: defaultdict[int, list[Job]] = defaultdict(list)
        for job in jobs:
            about = _about(job.work)
            if isinstance(about, int):
                by_partition[about % self._partition.count].append(job)
            elif type(job.work) is Chore and job.work.is_urgent:
                self._put_now(job)  # no heartbeat waits for where a letter can't get to
            elif not self._courier.let_wait(about, lambda job=job: self._put_now(job)):  # type: ignore[misc]
                if about is None:
                    self._put_now(job)
                else:
                    by_partition[self._partition.of_id(about)].append(job)
        for number, some in by_partition.items():
            self._writers[number].put(some)

    def _put_now(self, job: Job) -> None:
        """All that it may have to wait for has arrived."""
        work = job.work
        about = _about(work)
        if isinstance(about, str):
            self._put_to(self._partition.of_id(about), [job])
        elif isinstance(work, ClaimTasks):
            WideClaim(work, self._partition.count, self._spread, lambda end: self._end_claim(job, end)).begin()
        else:
            assert isinstance(work, Chore)
            self._do_everywhere(job, work)

    def _put_to(self, number: int, jobs: list[Job]) -> None:
        self._writers[number].put(jobs)

    def _spread(self, gathering: Gathering, numbers: Sequence[int]) -> None:
        for number, errand in zip(numbers, gathering.errands, strict=True):
            self._writers[number].put([errand])

    def _end_claim(self, job: Job, end: Claimed | BaseException) -> None:
        if isinstance(end, BaseException):
            job.error = end
        else:
            job.outcome = end
        self._tell([job], Wakes(), False)

    # --- what is to be done in all partitions

    def _do_everywhere(self, job: Job, chore: Chore) -> None:
        numbers = range(self._partition.count)
        merge, follow = chore.merge, chore.follow

        def done(errands: list[Errand]) -> None:
            job.error = error_among(errands)
            if chore.in_part and isinstance(job.error, StoreUnavailable):
                errands = [errand for errand in errands if errand.error is None] or errands
                job.error = error_among(errands)
            if job.error is None:
                outcomes = outcomes_of(errands)
                job.outcome = outcomes[0] if merge is None else merge(outcomes)
            self._tell([job], Wakes(), False)

        def others(first: Errand) -> None:
            if first.error is not None:
                done([first])
                return
            assert follow is not None
            following = chore.with_apply(follow(first.outcome))
            rest = Gathering([following] * (len(numbers) - 1), lambda errands: done([first, *errands]))
            self._spread(rest, numbers[1:])

        if merge is not None:
            self._spread(Gathering([chore] * len(numbers), done), numbers)
        elif follow is not None:
            self._put_to(0, [Errand(chore, others)])
        else:
            self._put_to(0, [job])

    # --- from the writers' threads

    def _told(self, jobs: list[Job], wakes: Wakes, has_strangers: bool) -> None:
        errands = [job for job in jobs if isinstance(job, Errand)]
        if wakes.letters:
            received = [errand.letter.message_id for errand in errands if isinstance(errand, Receipt)]
            self._courier.send(wakes.letters, received)
        own = [job for job in jobs if not isinstance(job, Errand)] if errands else jobs
        if own or wakes or has_strangers:
            self._tell(own, wakes, has_strangers)
        for errand in errands:
            errand.then(errand)


def _when_all(futures: Sequence[Future[None]], told: Future[None]) -> None:
    """Tell when all are done, or what the first that failed raises."""
    left = [len(futures)]

    def done(_: Future[None]) -> None:
        left[0] -= 1
        if left[0] == 0:
            problem = next((error for each in futures if (error := each.exception()) is not None), None)
            if problem is None:
                told.set_result(None)
            else:
                told.set_exception(problem)

    for future in futures:
        future.add_done_callback(done)


def _about(work: Any) -> str | int | None:
    """The id of the instance, or a key that says where it lies; None is everywhere."""
    kind = type(work)
    if kind is CompleteWorkflowTask or kind is ReleaseInstance or kind is MarkStuck:
        key: int = work.instance_key
        return key
    if kind is CompleteActivityTask or kind is RecordHeartbeat:
        activity_key: int = work.activity_key
        return activity_key
    if kind is ClaimTasks:
        return None
    if kind is Chore:
        return work.about  # type: ignore[no-any-return]
    instance_id: str = work.instance_id
    return instance_id
