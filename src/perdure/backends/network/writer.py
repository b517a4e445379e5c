"""The thread that writes to a store behind a network: one per process and store, however many handles and event loops there are.

It takes what is waiting, applies each job to the rows in memory, and has the link write these by one round trip. What
isn't as it was read comes as a `Conflict`: the batch is applied again. What a stranger's open transaction keeps locked is put
aside (aside.py), so that the rest of the batch goes on; so is who was too late again and again. A lost connection fails what was
under way (whether it took place isn't known, if it was being written) and is opened again for what comes next.

Rows stay in memory only while a worker of this process holds them, and a refusal that such a row led to is checked against the
tables before it is told: the row may be of yesterday.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Container, Iterable
from typing import Literal

from perdure.backends.answers import may_have_happened
from perdure.backends.committing import LARGEST_BYTES, CommitterThread, Tell, apply
from perdure.backends.group_commit import Halves, Job, as_store_error
from perdure.backends.network.aside import Aside, touching
from perdure.backends.network.clock import StoreClock
from perdure.backends.network.link import Conflict, Link
from perdure.backends.network.reconnecting import Reconnecting, unreached
from perdure.backends.rules.claiming import claim_nothing
from perdure.backends.rules.table import wanted_rows
from perdure.backends.unit.chore import Chore
from perdure.backends.unit.unit import Unit
from perdure.backends.wakes import Wakes
from perdure.clock import Clock, new_dice
from perdure.errors import StoreUnavailable
from perdure.model.transition import ClaimTasks, Existing, Heartbeat, NotAppended, NotRemoved, Rejected

_CONFLICTS = 6
"""As often a job is applied again before it has to wait: somebody always wins, but not always the same one."""
_CONFLICTS_OF_MANY = 2
"""As often several are before they are halved: of a thousand signals to busy instances one is always too late."""
_PAUSE_SECONDS = 0.002
_MEASURE_SECONDS = 10.0


class Writer(CommitterThread[None]):
    """The thread and what belongs to it."""

    def __init__(
        self,
        link: Link,
        name: str,
        clock: Clock,
        workers: Container[int | None],
        tell: Tell,
        poll: Callable[[], None],
        *,
        measures: bool = True,
    ) -> None:
        """`workers` are those of this process; `poll` is called now and then while somebody waits.

        Of writers that share a clock one `measures`, or it would jump between those whom they ask.
        """
        super().__init__(f"perdure writes {name}", tell)
        self.listen = poll
        self._name = name
        self._link = link
        self._clock = clock
        self._workers = workers
        self._unit = Unit(link.tables)
        self._unit.are_others_writing = True
        self._aside = Aside()
        self._connection = Reconnecting(link, name)
        self._dice = new_dice()
        self._measures = measures and isinstance(clock, StoreClock)
        self._measured_at = 0.0

    # --- from other threads

    def give_up(self) -> None:
        """Nothing to do: statements have time-outs of their own."""

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess, for those who would else have to read."""
        return self.opened.done() and self._unit.is_known_to_run(instance_id)

    # --- the thread

    def open(self) -> None:
        self._connection.open()
        if self._link.office is not None:
            self._unit.move_in(self._link.office)
        self._measure()

    def abandon(self, problem: BaseException) -> BaseException:
        self._link.close()
        return self._link.translated(problem)

    def close(self) -> None:
        while self._aside:
            time.sleep(self._aside.seconds)
            self.carry_out([])
        self._link.close()

    def receive(self) -> None:
        if not self._aside:
            super().receive()
            return
        try:
            self.take(self.inbox.get(timeout=self._aside.seconds))
        except queue.Empty:
            self.carry_out([])

    def carry_out(self, batch: list[Job]) -> None:
        try:
            if self._connection.ensure():
                self._unit.forget()
            if time.monotonic() - self._measured_at > _MEASURE_SECONDS:
                self._measure()
        except BaseException as problem:
            self._fail([*self._aside.take_all(), *batch], problem, is_unwritten=True)
            return
        if self._aside:
            self._try_again()
            batch = self._aside.hold_back(batch)
        try:
            batch = self._answer_idle_claims(batch)
        except BaseException as problem:
            self._fail(batch, problem, is_unwritten=True)
            return
        turns: tuple[list[Job], ...] = ([], [], [], [])
        for job in batch:
            turns[_turn(job)].append(job)
        for jobs in turns:
            self._try_all(jobs)

    def _try_all(self, jobs: list[Job]) -> None:
        halves = Halves(jobs)
        while (part := halves.take()) is not None:
            if self._connection.is_open:
                self._try(part, halves)
            else:
                self._fail(part, unreached(self._name, self._connection.why_lost))

    def _try_again(self) -> None:
        """What was put aside, if it is time; what is still locked waits on."""
        if self._aside.seconds:
            return
        locked = self._locked_among(self._aside.jobs)
        jobs = self._aside.take_all()
        self._put_aside([job for job in jobs if job in locked], self._link.why_locked)
        self._try_all([job for job in jobs if job not in locked])
        self._aside.settled()

    def _measure(self) -> None:
        if self._measures:
            assert isinstance(self._clock, StoreClock)
            self._clock.measure(self._link.now)
        self._measured_at = time.monotonic()

    def _answer_idle_claims(self, batch: list[Job]) -> list[Job]:
        """Claims that find nothing write nothing; gives what does."""
        unit = self._unit
        if not batch or not all(type(job.work) is ClaimTasks for job in batch) or unit.seal_target() is not None:
            return batch
        for job in batch:
            assert isinstance(job.work, ClaimTasks)
            try:
                job.outcome = claim_nothing(unit, job.work, self._clock.now())
            except Conflict:
                unit.settled.forget()
        idle = [job for job in batch if job.outcome is not None]
        if idle:
            self.tell(idle, Wakes(), False)
        return [job for job in batch if job.outcome is None]

    def _let_pass(self) -> None:
        """What is urgent: a batch that has to be tried again and again may take longer than a lease lasts."""
        self.drain_inbox()
        self._try_all(self.backlog.take_if(_is_urgent))

    def _try(self, part: list[Job], halves: Halves[Job], *, is_fresh: bool = False) -> None:
        for conflicts in range(1, (_CONFLICTS if len(part) == 1 else _CONFLICTS_OF_MANY) + 1):
            self._let_pass()
            self._unit.conflicts = conflicts - 1
            applying = _Applying(self._unit, part)
            try:
                applying.run(self._clock.now())
                self._link.commit(self._unit.settle())
            except BaseException as problem:
                self._link.roll_back()
                if not self._link.is_conflict(problem):
                    self._unit.forget()
                    self._blame(problem, part, applying, halves)
                    return
                self._unit.forget_batch()
                if conflicts > 1:
                    time.sleep(_PAUSE_SECONDS * conflicts * self._dice.random())
            else:
                self.backlog.put_back(part[applying.done :])
                self._committed(part[: applying.done], halves, is_fresh=is_fresh)
                return
        if (loser := halves.failed(part)) is not None:
            self._put_aside([loser], "others were faster again and again; nothing was written. Repeat it.")

    def _committed(self, part: list[Job], halves: Halves[Job], *, is_fresh: bool) -> None:
        self.commits += 1
        unit = self._unit
        wakes = unit.wakes
        unit.committed_among_others(self._workers)
        if not is_fresh:
            refused = [job for job in part if _refuses(job.outcome) and unit.forget_rows(*wanted_rows([job.work]))]
            if refused:
                part = [job for job in part if job not in refused]
                self.tell(part, wakes, False)
                self._try(refused, halves, is_fresh=True)
                return
        self.tell(part, wakes, False)

    def _blame(self, problem: BaseException, part: list[Job], applying: _Applying, halves: Halves[Job]) -> None:
        """The part was rolled back: fail those who must fail, leave the others for another try."""
        culprit = applying.culprit
        if self._link.is_lost(problem):
            # Heartbeats write at once, all others at the end.
            self._fail(part, problem, is_unwritten=not (applying.is_over or _is_urgent(part[0])))
        elif self._link.is_locked(problem):
            self._make_way(part, halves)
        elif culprit is None or self._link.translated(problem) is not problem:
            # What the server refuses may be what another job of the batch wants to write.
            culprit = halves.failed(part)
            if culprit is not None:
                self._fail((culprit,), problem)
        else:
            halves.without(part, (culprit,))
            self._fail((culprit,), problem)

    # --- rows that a stranger's transaction keeps locked

    def _make_way(self, part: list[Job], halves: Halves[Job]) -> None:
        """Put aside whose rows are locked; if that can't be seen, as with an id that is being taken, halve."""
        locked = self._locked_among(part) or {job for job in (halves.failed(part),) if job is not None}
        if locked:
            halves.without(part, locked)
            self._put_aside([job for job in part if job in locked], self._link.why_locked)

    def _locked_among(self, jobs: list[Job]) -> set[Job]:
        """Those known to want a row that is locked; all of them if whole tables are."""
        try:
            return touching(jobs, self._link.locked(*wanted_rows([job.work for job in jobs])))
        except BaseException as problem:
            # What else it may be is said by the attempt that follows.
            return set(jobs) if self._link.is_locked(problem) else set()

    def _put_aside(self, jobs: list[Job], why: str) -> None:
        """They are tried again soon; those that have waited for long fail, and are told why."""
        late = self._aside.put(jobs)
        if late:
            self._fail(late, StoreUnavailable(f"{self._name}: {why}", is_unwritten=True))

    def _fail(self, jobs: Iterable[Job], problem: BaseException, *, is_unwritten: bool = False) -> None:
        """`is_unwritten`: nothing of these was sent that could be written, whatever the problem was."""
        if self._link.is_lost(problem):
            self._connection.lost(problem)
        failed = list(jobs)
        for job in failed:
            error = as_store_error(self._link.translated(problem))
            if is_unwritten and may_have_happened(error):
                error = unreached(self._name, problem)
            job.error = error
        self.tell(failed, Wakes(), False)


class _Applying:
    """One attempt to apply a batch to the rows in memory."""

    def __init__(self, unit: Unit, part: list[Job]) -> None:
        self._unit = unit
        self._part = part
        self.done = 0
        """How many of the jobs are in the batch; those that follow didn't fit."""
        self.culprit: Job | None = None
        """Whose fault it is if `run` raises."""
        self.is_over = False
        """Whether what follows is the write."""

    def run(self, now: int) -> None:
        unit, part = self._unit, self._part
        unit.begin(now)
        unit.prefetch(*wanted_rows([job.work for job in part]))
        sealed = unit.seal_target()
        for job in part:
            self.culprit = job
            apply(unit, job, sealed)
            self.done += 1
            if unit.changes.bytes > LARGEST_BYTES:
                break
        self.culprit, self.is_over = None, True


def _is_urgent(job: Job) -> bool:
    return type(job.work) is Chore and job.work.is_urgent


def _turn(job: Job) -> Literal[0, 1, 2, 3]:
    """Which jobs of a batch go before which.

    Claims go before all but what is urgent: what waits in line comes before what the others make ready, and would keep it from
    coming back with them. What writes directly goes last: it takes a transaction of several round trips.
    """
    if type(job.work) is ClaimTasks:
        return 1
    if type(job.work) is not Chore:
        return 2
    if job.work.is_urgent:
        return 0
    return 2 if job.work.is_brief else 3


def _refuses(outcome: object) -> bool:
    """Whether the outcome says that something is otherwise than the caller thought."""
    if isinstance(outcome, Heartbeat):
        return not outcome.is_held
    return outcome is False or isinstance(outcome, Rejected | NotAppended | NotRemoved | Existing)
