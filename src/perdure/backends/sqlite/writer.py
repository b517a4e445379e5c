"""The thread that writes: one per process and file, however many handles and event loops there are.

It takes what is waiting, begins one transaction, applies each job to the rows in memory, writes these, and commits. All
waiting for locks (turn.py) happens here and in no event loop.
"""

from __future__ import annotations

import queue
import sqlite3
import time
from collections.abc import Callable

from perdure.backends.committing import LARGEST_BYTES, CommitterThread, Tell, apply
from perdure.backends.group_commit import Halves, Job, as_store_error
from perdure.backends.rules.claiming import claim_nothing
from perdure.backends.rules.table import wanted_rows
from perdure.backends.sql import schema
from perdure.backends.sqlite import faults
from perdure.backends.sqlite.connection import Place, SqliteOptions, open_writer
from perdure.backends.sqlite.session import SqliteSession
from perdure.backends.sqlite.tables import SqliteTables
from perdure.backends.sqlite.turn import Turn
from perdure.backends.sqlite.wal import Wal
from perdure.backends.unit.unit import Unit
from perdure.backends.wakes import Wakes
from perdure.clock import Clock
from perdure.model.transition import ClaimTasks

STRANGERS_EVERY_SECONDS = 0.025


class Read:
    """Something to do with the writing connection between transactions: reads of a store in memory."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[SqliteSession], None]) -> None:
        self.run = run


class Writer(CommitterThread[Read]):
    """The thread and what belongs to it."""

    def __init__(self, place: Place, options: SqliteOptions, clock: Clock, tell: Tell) -> None:
        super().__init__(f"perdure writes {place.name}", tell)
        self.place = place
        self.options = options
        self._clock = clock
        self._turn = Turn(place, options.lock_timeout_seconds)
        self._listening_until = 0.0
        self.is_deaf = False

    # --- from other threads

    def listen(self) -> None:
        """Somebody waits for what other processes write: look every few milliseconds from now on."""
        self._listening_until = time.monotonic() + 1.0
        if self.is_deaf:
            self.inbox.put([])

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess, for those who would else have to read."""
        return self.opened.done() and self._unit.is_known_to_run(instance_id)

    def give_up(self) -> None:
        """Fail the jobs that have waited for the OS lock for too long."""
        jobs = self._turn.give_up()
        if jobs is None:
            return
        jobs += self._take_back()  # what has come meanwhile would wait as long
        for job in jobs:
            job.error = faults.locked(self.place.name, self.options.lock_timeout_seconds)
        if jobs:
            self.tell(jobs, Wakes(), False)

    def _take_back(self) -> list[Job]:
        """The jobs that the thread hasn't seen yet."""
        jobs: list[Job] = []
        others: list[Read | None] = []
        while True:
            try:
                item = self.inbox.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, list):
                jobs += item
            else:
                others.append(item)
        for item in others:
            self.inbox.put(item)
        return jobs

    # --- the thread

    def open(self) -> None:
        self._turn.open()
        with self._turn:
            self._connection = self._turn.patiently(lambda: open_writer(self.place, self.options))
            self._session = SqliteSession(self._connection)
            try:
                self._prepare_schema()
            except BaseException:
                self._connection.close()
                raise
        self._tables = SqliteTables(self._session)
        self._tables.blob_threshold = self.options.blob_threshold
        self._unit = Unit(self._tables)
        self._wal = None if self.place.path is None else Wal(self._connection, self.place.beside("-wal"))

    def abandon(self, problem: BaseException) -> BaseException:
        self._turn.close()
        return faults.translated(problem, self.place.name)

    def _prepare_schema(self) -> None:
        connection, name = self._connection, self.place.name
        if schema.is_current(self._session, name):
            return
        if not self.options.migrate:
            raise schema.outdated(self._session, name)
        self._turn.patiently(lambda: connection.execute("begin immediate"))
        try:
            if not schema.is_current(self._session, name):
                schema.migrate(self._session, self._clock.now())
            connection.execute("commit")
        except BaseException:
            connection.rollback()
            raise

    def receive(self) -> None:
        """Wait for something to do; meanwhile look whether others write, if somebody waits for that."""
        while True:
            is_listening = self.place.path is not None and time.monotonic() < self._listening_until
            self.is_deaf = not is_listening
            try:
                item = self.inbox.get(timeout=STRANGERS_EVERY_SECONDS if is_listening else None)
            except queue.Empty:
                self._look_for_strangers()
                continue
            self.is_deaf = False
            self.take(item)
            return

    def meanwhile(self, item: Read) -> None:
        item.run(self._session)

    def _look_for_strangers(self) -> None:
        try:
            has_changed = self._notice_strangers()
        except sqlite3.Error:
            return  # somebody has it locked; the next look will tell
        if has_changed:
            self.tell([], Wakes(), True)

    # --- batches

    def carry_out(self, batch: list[Job]) -> None:
        batch = self._answer_idle_claims(batch)
        if not batch:
            return
        batch = self._turn.wait_with(batch)
        try:
            halves = Halves(batch)
            while (part := halves.take()) is not None:
                self._try(part, halves)
            self._keep_log_short()
        finally:
            self._turn.release()

    def _notice_strangers(self) -> bool:
        """Whether another connection has committed since this was last asked; then nothing is cached any more."""
        has_changed = self._tables.strangers_wrote()
        if has_changed is not False:
            self._unit.forget()
        return has_changed is True

    def _answer_idle_claims(self, batch: list[Job]) -> list[Job]:
        """Claims that find nothing need no write transaction; gives what does."""
        if not all(type(job.work) is ClaimTasks for job in batch):
            return batch
        try:
            has_changed = self._notice_strangers()
            if self._unit.seal_target() is not None:
                return batch
            now = self._clock.now()
            for job in batch:
                assert isinstance(job.work, ClaimTasks)
                job.outcome = claim_nothing(self._unit, job.work, now)
        except sqlite3.Error:
            return batch  # told again, and translated, where it is written
        idle = [job for job in batch if job.outcome is not None]
        if idle or has_changed:
            self.tell(idle, Wakes(), has_changed)
        return [job for job in batch if job.outcome is None]

    def _try(self, part: list[Job], halves: Halves[Job]) -> None:
        unit = self._unit
        culprit: Job | None = None
        try:
            self._begin()
            unit.begin(self._clock.now())
            strangers = self._notice_strangers()
            unit.prefetch(*wanted_rows([job.work for job in part]))
            sealed, changes = unit.seal_target(), unit.changes
            for place, job in enumerate(part):
                culprit = job
                apply(unit, job, sealed)
                if changes.bytes > LARGEST_BYTES and place + 1 < len(part):
                    self.backlog.put_back(part[place + 1 :])
                    part = part[: place + 1]
                    break
            culprit = None
            unit.flush()
            self._connection.execute("commit")
        except BaseException as problem:
            self._roll_back()
            self._blame(problem, part, culprit, halves)
            return
        self.commits += 1
        wakes = unit.wakes
        unit.committed()
        self.tell(part, wakes, strangers)

    def _blame(self, problem: BaseException, part: list[Job], culprit: Job | None, halves: Halves[Job]) -> None:
        """The part was rolled back: fail those who must fail, leave the others for another try."""
        name = self.place.name
        if faults.concerns_all(problem):
            while (rest := halves.take()) is not None:
                part = [*part, *rest]
            for job in part:
                job.error = faults.translated(problem, name)
            self.tell(part, Wakes(), False)
            return
        if culprit is None:
            culprit = halves.failed(part)
        else:
            halves.without(part, (culprit,))
        if culprit is not None:
            culprit.error = as_store_error(faults.translated(problem, name))
            self.tell([culprit], Wakes(), False)

    def _begin(self) -> None:
        connection = self._connection
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError as problem:
            if not faults.is_locked(problem):
                raise
            self._turn.patiently(lambda: connection.execute("begin immediate"))

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.rollback()
        finally:
            self._unit.forget()

    def _keep_log_short(self) -> None:
        if self._wal is not None and self._wal.committed(self._tables.take_rows()):
            try:
                self._wal.checkpoint()
            except sqlite3.Error:
                return  # locked by a stranger, or a full disk: the log keeps everything, the next commit tries again

    def close(self) -> None:
        self._turn.wait_with([])
        try:
            if self.place.path is not None:
                self._connection.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error:
            pass  # the log stays, and is read by whoever opens the database next
        finally:
            self._connection.close()
            self._turn.release()
            self._turn.close()
