"""Runs workflow tasks: loads executions, applies events, writes checkpoints, and keeps executions in memory.

- Workflow code runs in line on the worker's loop and never waits there. What waits is for the store.
- Nothing is seen by others before it is durable: activities begin, and the next task is applied, after the commit.
- A result of an activity whose execution is in memory is *fused*: applied at once and committed with the checkpoint that it
  leads to. If that commit fails, the execution leaves memory and the result is sent again alone.
- An execution leaves memory when it ends, when its commit is refused or its outcome unknown, when it is stuck, and when it
  is the longest idle one of too many. Its lease goes back each time.
- Each claimed task ends in a checkpoint, a stuck mark or a released lease: else the store would wait for it.

A step of a cached execution has no task of its own: what arrives makes its seat *ready*, all ready seats are advanced in one
callback of the event loop, and the answer of the store advances the seat again. Only what is rare (reading a history, giving a
lease back) is a coroutine.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial

from perdure.app import App
from perdure.backends.answers import Answer, may_have_happened
from perdure.backends.protocol import Backend
from perdure.engine.execution import Execution
from perdure.errors import StoreFilling, StoreUnavailable
from perdure.model.checkpoint import Checkpoint
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Checkpointed, Rejected
from perdure.observability.logging import Log
from perdure.worker.backoff import HOPELESS, Backoff
from perdure.worker.hand_back import HandBack
from perdure.worker.leaving import Leaving
from perdure.worker.links import Links
from perdure.worker.seat import FinalEnd, Result, Seat, Step, Work
from perdure.worker.stepping import StaleTask, Stepper


class Executions:
    """The instances that a worker holds."""

    def __init__(
        self,
        backend: Backend,
        app: App,
        stepper: Stepper,
        hand_back: HandBack,
        *,
        cache_size: int,
        links: Links,
        logger: Log,
    ) -> None:
        self._app = app
        self._stepper = stepper
        self._hand_back = hand_back
        self._cache_size = cache_size
        self._links = links
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._leaving = Leaving(backend, logger)
        self._writing = Backoff(logger, "writing checkpoints")
        self._seats: dict[int, Seat] = {}
        self._by_id: dict[str, Seat] = {}
        self._idle: OrderedDict[int, Seat] = OrderedDict()
        self._ready: list[Seat] = []
        self._outbox: list[tuple[Seat, Work, Checkpoint]] | None = None
        self._all_rest: asyncio.Future[None] | None = None
        self._coming = 0
        self.is_retiring = self.is_over = False

    @property
    def busy_count(self) -> int:
        """Instances that are being worked on; the others wait for something to happen."""
        return len(self._seats) - len(self._idle) + self._coming

    @property
    def cached_count(self) -> int:
        return len(self._seats)

    @property
    def has_steps(self) -> bool:
        return len(self._seats) > len(self._idle)

    def keep_places(self, count: int) -> None:
        """For instances that are on their way: claimed, or created with their first step."""
        self._coming += count

    def free_places(self, count: int) -> None:
        self._coming -= count  # they have come, or won't
        self._note_rest()

    # --- what arrives

    def deliver_task(self, task: WorkflowTask) -> None:
        """A claimed task has come."""
        seat = self._seats.get(task.instance_key)
        if seat is None and self.is_retiring:
            self._links.spawn(self._leaving.release(Seat(task)))
            return
        if seat is None:
            seat = Seat(task)
            self._hold(seat)
        self._add_task(seat, task)
        self._wake(seat)

    def deliver_result(self, task: ActivityTask, end: FinalEnd, *, is_last: bool = False) -> bool:
        """An activity has ended here. False: its execution isn't in memory, record it as it is.

        If it is the last one that runs, there is nothing to gather with it: it is applied at once.
        """
        seat = self._seats.get(task.instance_key)
        if seat is None or not seat.add_result(Result(task, end)):
            return False
        if is_last and not seat.is_busy and not self._ready:
            seat.is_busy = True
            self._idle.pop(seat.instance_key, None)
            self._advance(seat)
        else:
            self._wake(seat)
        return True

    def deliver_first_step(self, seat: Seat, step: Step, outcome: Checkpointed) -> None:
        """An instance has been created together with its first step, which was taken here."""
        if self.is_over or seat.instance_key in self._seats:
            seat.unload()
            if self.is_over:
                self._hand_back.withdraw(step.offer)
            else:  # a claim was faster: its seat reads the history
                self._hand_back.settle(step.offer, outcome.activities)
            return
        self._hold(seat)
        seat.is_busy = True
        self._accept(seat, step, outcome)

    def find(self, instance_id: str) -> Seat | None:
        """The seat of an instance whose execution is in memory, or may be in a moment."""
        seat = self._by_id.get(instance_id)
        return seat if seat is not None and (seat.is_busy or seat.execution is not None) else None

    def ask_between_steps(self, instance_id: str, ask: Callable[[Execution | None], None]) -> None:
        """Give `ask` the execution as soon as what it has applied is durable; None if it isn't in memory then."""
        seat = self.find(instance_id)
        if seat is None:
            ask(None)
            return
        seat.askers.append(ask)
        if not seat.is_busy:
            self._let_ask(seat)

    def keeps(self, checkpoint: Checkpoint) -> bool:
        """Whether the execution stays in memory after this step."""
        closing = checkpoint.closing
        return not self.is_retiring and self._cache_size > 0 and (closing is None or closing.following is not None)

    def retire(self) -> None:
        """Keep nothing any more: give the leases of idle executions back now, those of others with their checkpoint."""
        self.is_retiring = True
        self._evict(0)

    def drop_all(self) -> None:
        """The leases are gone: take everything out of memory, on this thread."""
        self.is_retiring = self.is_over = True
        for seat in self._seats.values():
            seat.unload()
        for places in (self._seats, self._by_id, self._idle):
            places.clear()
        self._note_rest()

    async def wait_for_rest(self) -> None:
        """Until no step is under way."""
        while self.busy_count:
            self._all_rest = self._loop.create_future()
            await self._all_rest

    def _note_rest(self) -> None:
        if self._all_rest is not None and not self._all_rest.done() and not self.busy_count:
            self._all_rest.set_result(None)

    def _add_task(self, seat: Seat, task: WorkflowTask) -> None:
        displaced = seat.add_task(task)
        if displaced is not None:
            self._links.spawn(self._leaving.release(Seat(displaced)))

    # --- one seat at work

    def _hold(self, seat: Seat) -> None:
        self._seats[seat.instance_key] = self._by_id[seat.instance_id] = seat

    def _forget(self, seat: Seat) -> None:
        self._seats.pop(seat.instance_key, None)
        if self._by_id.get(seat.instance_id) is seat:  # another instance may have its id by now
            del self._by_id[seat.instance_id]

    def _let_ask(self, seat: Seat) -> None:
        if seat.askers:
            self._stepper.let_ask(seat)
        if seat.execution is not None and seat.execution.is_tainted:
            seat.unload()

    def _wake(self, seat: Seat) -> None:
        if seat.is_busy:
            return
        seat.is_busy = True
        self._idle.pop(seat.instance_key, None)
        self._ready.append(seat)
        if len(self._ready) == 1:
            self._loop.call_soon(self._advance_ready)

    def _advance_ready(self) -> None:
        """Stage by stage: what has just run for another seat is in the processor's caches, and takes two thirds of the time."""
        ready, self._ready = self._ready, []
        outbox = self._outbox = []
        for seat in ready:
            self._advance(seat)
        self._outbox = None
        for seat, work, checkpoint in outbox:
            try:
                self._send(seat, work, checkpoint)
            except Exception as problem:
                self._note_fault(seat, work, problem)

    def _advance(self, seat: Seat) -> None:
        """Begin the next step of a busy seat; if there is none, it is idle."""
        work = None if self.is_over else seat.next_work()
        try:
            if work is None:
                self._settle(seat)
            elif work.task is not None and not seat.fits(work.task):
                self._load(seat, work, work.task)
            else:
                if work.task is not None:
                    seat.sit_down(work.task)
                self._step(seat, work)
        except Exception as problem:  # the engine's errors are caught where it is called
            self._note_fault(seat, work, problem)

    def _note_fault(self, seat: Seat, work: Work | None, problem: Exception) -> None:
        """A fault of ours: it harms this step alone, which is done again."""
        self._links.failed(problem)
        if not self.is_over:
            self._give_way(seat, work or Work(None, ()), StaleTask())

    def _settle(self, seat: Seat) -> None:
        """The seat has nothing to do: it stays while its execution is in memory."""
        seat.is_busy = False
        if self.is_over:
            return
        self._let_ask(seat)
        if seat.execution is None:
            self._forget(seat)
        else:
            self._idle[seat.instance_key] = seat
            self._evict(0 if self.is_retiring else self._cache_size)
        self._note_rest()
        self._links.on_free()

    def _evict(self, capacity: int) -> None:
        while len(self._idle) > capacity:
            _, seat = self._idle.popitem(last=False)
            self._forget(seat)
            seat.unload()
            self._links.spawn(self._leaving.release(seat))
            self._links.evicted()

    def _load(self, seat: Seat, work: Work, task: WorkflowTask) -> None:
        """Take the task's lease and bring its execution into memory, then take the step."""
        seat.unload()
        seat.sit_down(task)
        if task.workflow not in self._app.workflows:
            self._give_way(seat, work, StaleTask())  # continue-as-new went on as one that other workers know
        elif task.position:
            self._apart(seat, partial(self._step_after, seat, work, partial(self._stepper.load, seat, task)))
        else:
            self._stepper.load_new(seat, task)
            self._step(seat, work)

    async def _step_after(self, seat: Seat, work: Work, read: Callable[[], Awaitable[None]]) -> bool:
        try:
            await read()
        except HOPELESS:
            raise
        except Exception as problem:
            self._give_way(seat, work, problem)
        else:
            if self.is_over:
                seat.unload()
            self._step(seat, work, is_ready=True)
        return False

    def _step(self, seat: Seat, work: Work, *, is_ready: bool = False) -> None:
        """Apply what has come, once payloads that are kept apart are here, and send the checkpoint off."""
        work, strays = seat.sort_out(work)
        self._send_alone(strays)
        if seat.execution is None:
            self._send_alone(work.results)
            self._advance(seat)
            return
        try:
            if not is_ready and (missing := self._stepper.missing(seat, work)):
                self._apart(seat, partial(self._step_after, seat, work, partial(self._stepper.fetch, seat, missing)))
                return
            checkpoint = self._stepper.apply(seat, work)
        except Exception as problem:
            self._give_way(seat, work, problem)
            return
        if self._outbox is None:
            self._send(seat, work, checkpoint)
        else:
            self._outbox.append((seat, work, checkpoint))

    def _send(self, seat: Seat, work: Work, checkpoint: Checkpoint) -> None:
        assert seat.execution is not None
        keeps = self.keeps(checkpoint) and not seat.execution.is_tainted
        offer, replies = self._hand_back.offer(checkpoint, workflow_task=keeps), seat.execution.take_replies()
        step = Step(checkpoint, work.results, offer, keeps, replies, seat.execution.conclusion(checkpoint))
        answer = self._stepper.submit(seat, checkpoint, work.results, release=not keeps, offer=step.offer)
        answer.add_done_callback(partial(self._answered, seat, step))

    def _answered(self, seat: Seat, step: Step, answer: Answer[Checkpointed | Rejected]) -> None:
        try:
            outcome = answer.result()
        except (Exception, asyncio.CancelledError) as problem:
            self._hand_back.withdraw(step.offer)
            if not self.is_over:
                self._commit_failed(seat, step, problem)
            return
        if isinstance(outcome, Checkpointed) and not self.is_over:
            self._accept(seat, step, outcome)
            return
        self._hand_back.withdraw(step.offer)
        if isinstance(outcome, Rejected) and not self.is_over:
            self._refused(seat, step, outcome)

    def _accept(self, seat: Seat, step: Step, outcome: Checkpointed) -> None:
        """The step is durable: begin what came back with it, and go on."""
        self._writing.worked()
        if seat.stuck_attempts:
            self._leaving.tell_goes_on(seat)
        self._hand_back.settle(step.offer, outcome.activities)
        assert seat.execution is not None
        seat.execution.committed(outcome)
        checkpoint = step.checkpoint
        self._links.follow(step, seat.execution_id)
        if not step.keeps or checkpoint.closing is not None:
            seat.unload()
        else:
            self._let_ask(seat)
        if outcome.workflow_task is not None:
            self._add_task(seat, outcome.workflow_task)
        elif step.keeps and checkpoint.closing is not None:
            self._apart(seat, partial(self._leaving.release, seat))
            return
        self._advance(seat)

    # --- what goes wrong, and what takes its time

    def _refused(self, seat: Seat, step: Step, outcome: Rejected) -> None:
        self._logger.info("a checkpoint of %s was refused: %s", seat.instance_id, outcome.reason, extra=seat.log_fields)
        seat.unload()
        self._apart(seat, partial(self._leaving.release, seat))
        self._send_alone(step.results)

    def _give_way(self, seat: Seat, work: Work, problem: Exception) -> None:
        """The task can't be done here and now: leave it to others, or mark the instance stuck."""
        seat.unload()
        self._apart(seat, partial(self._leaving.give_way, seat, problem))
        self._send_alone(work.results)

    def _commit_failed(self, seat: Seat, step: Step, problem: BaseException) -> None:
        """Unknown, or impossible: what is in memory may be ahead of the store."""
        if isinstance(problem, HOPELESS):
            self._links.failed(problem)
            return
        if may_have_happened(problem):
            self._links.lose_sight(step)
        seat.unload()
        if not isinstance(problem, Exception) or isinstance(problem, (StoreUnavailable, StoreFilling)):
            self._writing.failed(problem)  # for the log: the step isn't repeated as it is
            self._apart(seat, partial(self._leaving.release, seat))
        else:
            self._apart(seat, partial(self._leaving.mark_stuck, seat, problem))
        self._send_alone(step.results)

    def _apart(self, seat: Seat, slow: Callable[[], Awaitable[object]]) -> None:
        """Do what takes its time, begun before all that is asked for later; then the seat goes on, unless that gave it a step."""
        self._links.spawn(self._then_advance(seat, slow))

    async def _then_advance(self, seat: Seat, slow: Callable[[], Awaitable[object]]) -> None:
        goes_on = True
        try:
            goes_on = await slow() is not False
        finally:
            if goes_on:
                self._advance(seat)

    def _send_alone(self, results: tuple[Result, ...]) -> None:
        for result in results:
            self._links.record_alone(result.task, result.end)
