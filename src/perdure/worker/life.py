"""One life of a worker: a key in the store, and all that happens under it until the worker stops or its leases are lost.

A worker whose leases are lost may know of nothing that it holds: it drops everything, cancels what runs, and begins another
life under a new key. Slots and threads outlast a life: a function that can't be stopped keeps its own.

A store may lease work in an answer that gets lost; this worker then holds what it doesn't know of, and nobody would ever do
it. After such an answer the life is *uncertain*: as soon as the store answers again the next one begins. This one gives its
executions back, then *retires*, by which the store takes back all that is leased to its key but the activities that it runs and
takes nothing more for it; it ends these in their own time, and signs off. Of an error that says that nothing was written, nothing
follows.

A graceful end, in order: nothing is claimed and nothing comes back any more; idle executions leave memory, so that others can
go on with them; running activities have the grace period, then are cancelled, and in the end given up; what ended is
recorded; all leases are given back.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from perdure.backends.weight import whole
from perdure.errors import StoreError
from perdure.model.reply import Query, Reply
from perdure.model.task import ActivityTask
from perdure.model.transition import ActivityFailure, ActivityResult, Offer
from perdure.observability.logging import text_of
from perdure.worker.activities import Activities
from perdure.worker.answering import Answering
from perdure.worker.attempt import Surroundings
from perdure.worker.backlog import Backlog
from perdure.worker.backoff import HOPELESS, Backoff, until_done
from perdure.worker.clearing import clear_away
from perdure.worker.executions import Executions
from perdure.worker.hand_back import HandBack
from perdure.worker.heartbeats import Heartbeats
from perdure.worker.housekeeper import keep_house
from perdure.worker.keeper import Keeper, Lease
from perdure.worker.links import Links
from perdure.worker.poller import Poller, Workplace
from perdure.worker.possessions import Possessions
from perdure.worker.recording import EndRecorder
from perdure.worker.replicas import Replicas
from perdure.worker.shortcuts import Shortcuts
from perdure.worker.shortcuts import Surroundings as ShortcutSurroundings
from perdure.worker.stepping import Stepper
from perdure.worker.store_time import StoreTime
from perdure.worker.verdict import Cause, End
from perdure.worker.waiting import first_of
from perdure.worker.watchdog import Watchdog
from perdure.worker.watching import watching

_CANCELLED_SECONDS = 5.0
"""How long cancelled activities may take to end."""
_RECORDING_SECONDS = _SIGN_OFF_SECONDS = 5.0
_FINAL = (ActivityResult, ActivityFailure)


class LifeEnd(enum.Enum):
    """Why it is over."""

    STOPPED = enum.auto()
    UNCERTAIN = enum.auto()
    LOST = enum.auto()
    FAILED = enum.auto()
    """By what no waiting mends."""


class Life:
    """See the head of the file. Made by `begin_life` (beginning.py)."""

    def __init__(self, has: Possessions, worker_key: int, started_at: float) -> None:
        self._has = has
        self._key = worker_key
        self._group = asyncio.TaskGroup()
        self._jobs: set[asyncio.Task[None]] = set()
        """Steps of instances and recordings: what is waited for at a graceful end."""
        self._recording: set[tuple[int, int]] = set()
        """Activities whose ends are being recorded, by key and token."""
        self._over: asyncio.Future[LifeEnd] = asyncio.get_running_loop().create_future()
        self._problem: Exception | None = None
        self._is_stopping = False
        self._is_uncertain = False
        self._slot_came_free = asyncio.Event()
        self._time = StoreTime(has.clock)
        self._recorder = EndRecorder(has.backend, self._uncertain, has.logger)
        self._keeper = Keeper(
            has.backend,
            Lease(
                worker_key=worker_key,
                started_at=started_at,
                seconds=has.options.lease_seconds,
                beat_seconds=has.options.beat_seconds,
            ),
            clock=has.clock,
            lost=self._lost,
            beaten=self._time.observe,
            logger=has.logger,
            aside=has.aside,
        )
        self._build()

    def _build(self) -> None:
        has = self._has
        self._serves_workflows = bool(has.options.workflow_queues and has.app.workflows)
        self._activities = Activities(
            has.activities if has.options.activity_queues else {},
            self._surroundings(),
            has.slots,
            report=self._report,
            logger=has.logger,
        )
        self._hand_back = HandBack(
            self._key,
            queues=has.options.activity_queues,
            names=self._activities.names,
            serves_workflows=self._serves_workflows,
            slots=has.slots,
            begin=self._activities.begin,
        )
        self._stepper = Stepper(has, self._time)
        self._executions = Executions(
            has.backend,
            has.app,
            self._stepper,
            self._hand_back,
            cache_size=has.options.cache_size,
            links=Links(
                spawn=self._spawn,
                record_alone=self._record,
                tell_numbers=self._activities.tell_numbers,
                answer=lambda *told: self.answering.send(*told),  # noqa: PLW0108 - made below
                on_free=self._slot_came_free.set,
                uncertain=self._uncertain,
                failed=self._note_fault,
                evicted=has.watcher.evicted if has.watcher is not None else lambda: None,
            ),
            logger=has.logger,
        )
        self._replicas = Replicas(
            has.backend,
            has.app,
            limits=has.options.limits,
            most_kept=has.options.cache_size,
            has_steps=lambda: self._executions.has_steps,
            clock=has.clock,
            spawn=self._spawn,
            loggers=has.loggers,
        )
        self.answering = Answering(
            has.backend, self._key, self._executions, self._replicas, spawn=self._spawn, logger=has.logger
        )
        backlog = Backlog(has.options.max_activities)
        self._poller = self._make_poller(backlog)
        self.shortcuts = self._make_shortcuts(backlog)

    def _surroundings(self) -> Surroundings:
        has = self._has
        fetching = Backoff(has.logger, "reading a payload")
        return Surroundings(
            loop=asyncio.get_running_loop(),
            app=has.app,
            threads=has.threads,
            context=has.context,
            logger=has.loggers.activity,
            spawn=self._spawn,
            send_heartbeat=has.backend.commit,
            fetch=lambda payload: until_done(partial(whole, has.backend, payload), fetching),
            is_stopping=lambda: self._is_stopping,
            is_held=self._is_held,
        )

    def _make_poller(self, backlog: Backlog) -> Poller:
        has = self._has
        return Poller(
            has,
            self._key,
            workflow_names=frozenset(has.app.workflows) if has.options.workflow_queues else frozenset(),
            workplace=Workplace(
                executions=self._executions,
                activities=self._activities,
                slots=has.slots,
                slot_came_free=self._slot_came_free,
                threads=has.threads,
                backlog=backlog,
                uncertain=self._uncertain,
                claimed=self._claimed,
            ),
            time=self._time,
        )

    def _make_shortcuts(self, backlog: Backlog) -> Shortcuts:
        has = self._has
        return Shortcuts(
            ShortcutSurroundings(
                backend=has.backend,
                app=has.app,
                options=has.options,
                slots=has.slots,
                executions=self._executions,
                stepper=self._stepper,
                hand_back=self._hand_back,
                backlog=backlog,
                time=self._time,
                is_held=self._is_held,
                offer_of_task=self._offer_of_task,
                uncertain=self._uncertain,
                logger=has.logger,
            )
        )

    async def run(self, begun: Callable[[Life], None], served: Callable[[LifeEnd], None]) -> None:
        """All of it. `begun` is called when it serves, `served` with the reason when it doesn't any more.

        Raises StoreSealed and SchemaMismatch, and StoreError if it couldn't begin.
        """
        has = self._has
        watchdog = Watchdog(
            self._keeper,
            self._key,
            applying=lambda: self._stepper.applying,
            limit_seconds=has.options.block_limit_seconds,
            clock=has.clock,
            logger=has.logger,
        )
        has.slots.listeners.append(self._slot_came_free.set)
        try:
            await self._keeper.start(watchdog.run)
            begun(self)
            await self._serve(served)
        finally:
            has.slots.listeners.remove(self._slot_came_free.set)
            await self._sign_off()
        if self._problem is not None:
            raise self._problem

    def ask(self, instance_id: str, query: Query) -> asyncio.Future[Reply] | None:
        """Ask an execution that is in memory under a lease that holds; None if it isn't."""
        return self.answering.ask(instance_id, query) if self._keeper.is_held else None

    async def _serve(self, served: Callable[[LifeEnd], None]) -> None:
        async with self._group as group:
            poller = self._begin(self._poller.run())
            services = [
                *(self._begin(work(self._has.backend, self._has.logger)) for work in (keep_house, clear_away)),
                *(self._begin(watch) for watch in watching(self._has, self._executions, self._activities)),
                group.create_task(self._await_stop()),
                *([self._begin(self.answering.run())] if self._serves_workflows else ()),
            ]
            try:
                end = await self._over
                if end is not LifeEnd.FAILED:
                    served(end)
                if end is LifeEnd.UNCERTAIN:
                    await first_of(self._begin(self._run_out(poller)), self._has.stop.wait())
                if end in (LifeEnd.STOPPED, LifeEnd.UNCERTAIN):
                    await self._end_gracefully(poller)
            finally:
                self._drop_all()
                for task in (poller, *services, *self._jobs):
                    task.cancel()

    async def _run_out(self, poller: asyncio.Task[None]) -> None:
        """Take nothing more, and end what runs, in its own time; the worker may stop meanwhile."""
        self._hand_back.is_stopped = True
        self._poller.stop()
        self._executions.retire()
        await asyncio.wait((poller,))
        await self._executions.wait_for_rest()
        await until_done(
            # What has ended and isn't recorded yet stays leased as well: nobody is to begin it again.
            lambda: self._has.backend.retire_worker(self._key, self._activities.leases | self._recording),
            Backoff(self._has.logger, "giving back what may have been leased"),
        )
        await self._activities.wait_for_end(None)
        while self._jobs:
            await asyncio.wait(tuple(self._jobs))

    async def _end_gracefully(self, poller: asyncio.Task[None]) -> None:
        self._is_stopping = self._hand_back.is_stopped = self.answering.is_stopped = True
        self._poller.stop()
        self._executions.retire()
        await first_of(self._activities.wait_for_end(self._has.options.grace_seconds), self._has.stop.wait_for_hurry())
        self._activities.stop_all(Cause.SHUTDOWN)
        await self._activities.wait_for_end(1.0 if self._has.stop.is_hurried else _CANCELLED_SECONDS)
        self._activities.give_up_all()
        self._spawn(self._executions.wait_for_rest())
        waiting = {poller, *self._jobs}
        while waiting:
            _, left = await asyncio.wait(waiting, timeout=_RECORDING_SECONDS)
            if left:
                self._has.logger.warning(
                    "the store didn't take %d last transitions, other workers will do that work", len(left)
                )
                return
            waiting = set(self._jobs)

    async def _sign_off(self) -> None:
        """Give back all that is still leased, and forget the worker."""
        try:
            if not self._keeper.is_forfeit:
                async with asyncio.timeout(_SIGN_OFF_SECONDS):
                    await self._has.backend.stop_worker(self._key)
        except (StoreError, TimeoutError) as problem:
            why = text_of(problem) if str(problem) else f"no answer within {_SIGN_OFF_SECONDS:g} s"
            self._has.logger.warning("giving the leases back failed, they end with their time: %s", why)
        await self._keeper.stop()

    async def _await_stop(self) -> None:
        await self._has.stop.wait()
        self._finish(LifeEnd.STOPPED)

    # --- for those who live in it

    def _spawn(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._begin(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def _begin(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(self._guarded(job))
        task.add_done_callback(lambda _: job.close())  # a task that is cancelled before it begins leaves it unawaited
        return task

    async def _guarded(self, job: Coroutine[Any, Any, None]) -> None:
        """The top of each task: a fault of one harms no other."""
        try:
            await job
        except Exception as problem:
            self._note_fault(problem)

    def _note_fault(self, problem: Exception) -> None:
        if isinstance(problem, HOPELESS):
            self._fail(problem)
        else:
            self._has.logger.error("a fault in perdure's worker: please report it", exc_info=problem)

    def _report(self, task: ActivityTask, end: End, heartbeats: Heartbeats | None) -> None:
        """An attempt has ended: into the execution that is in memory, or into the store."""
        is_last = self._activities.running_count == 0
        if isinstance(end, _FINAL) and self._executions.deliver_result(task, end, is_last=is_last):
            return
        self._record(task, end, heartbeats)

    def _record(self, task: ActivityTask, end: End, heartbeats: Heartbeats | None = None) -> None:
        lease = (task.activity_key, task.token)
        self._recording.add(lease)
        job = self._spawn(self._record_and_go_on(task, end, heartbeats))
        job.add_done_callback(lambda _: self._recording.discard(lease))

    async def _record_and_go_on(self, task: ActivityTask, end: End, heartbeats: Heartbeats | None) -> None:
        offer = self._offer_of_task() if isinstance(end, _FINAL) else None
        following = await self._recorder.record(task, end, offer, heartbeats)
        if following is not None:
            self._executions.deliver_task(following)

    def _is_held(self) -> bool:
        return self._keeper.is_held

    def _offer_of_task(self) -> Offer | None:
        """For what makes an instance's workflow task due, while there is room for one more."""
        has_room = self._executions.busy_count < self._has.options.max_workflow_tasks
        return self._hand_back.offer_of_task(workflow_task=has_room)

    def _lost(self, why: str) -> None:
        if not self._over.done():
            self._has.logger.error("the worker drops its work and starts again: %s", why)
        self._drop_all()
        self._finish(LifeEnd.LOST)

    def _drop_all(self) -> None:
        """Nothing that is held is known to be held any more, or nothing is held."""
        self._hand_back.is_stopped = True
        self._activities.stop_all(Cause.LEASE_LOST)
        self._executions.drop_all()
        self._replicas.drop_all()

    def _uncertain(self) -> None:
        """An answer was lost that may have leased something to this worker."""
        self._is_uncertain = True

    def _claimed(self) -> None:
        """The store answers; a new key is no use before it does."""
        if self._is_uncertain and not self._over.done():
            self._has.logger.warning(
                "the store was away: the worker goes on under a new key, which gives back what a lost answer may have leased"
            )
            self._finish(LifeEnd.UNCERTAIN)

    def _finish(self, end: LifeEnd) -> None:
        if not self._over.done():
            self._over.set_result(end)

    def _fail(self, problem: Exception) -> None:
        self._problem = self._problem or problem
        self._finish(LifeEnd.FAILED)
