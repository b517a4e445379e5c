"""Runs workflow tasks: loads executions, applies events, writes checkpoints, and keeps executions in memory.

- Workflow code runs in line on the worker's loop and never waits there. What waits is for the store.
- Nothing is seen by others before it is durable: activities begin, and the next task is applied, after the commit.
- A result of an activity whose execution is in memory is *fused*: applied at once and committed with the checkpoint that it
  leads to. If that commit fails, the execution leaves memory and the result is sent again alone.
- An execution leaves memory when it ends, when its commit is refused or its outcome unknown, when it is stuck, and when it
  is the longest idle one of too many. Its lease goes back each time.
- Each claimed task ends in a checkpoint, a stuck mark or a released lease: else the store would wait for it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.clock import Micros
from perdure.errors import RunawayWorkflow, StoreUnavailable
from perdure.model.checkpoint import Checkpoint
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Checkpointed, MarkStuck, Rejected, ReleaseInstance
from perdure.worker.backoff import HOPELESS, Backoff, until_done
from perdure.worker.hand_back import HandBack
from perdure.worker.seat import FinalEnd, Result, Seat, Work, retry_delay
from perdure.worker.stepping import StaleTask, Stepper


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """What executions ask of their worker."""

    spawn: Callable[[Coroutine[Any, Any, None]], object]
    record_alone: Callable[[ActivityTask, FinalEnd], object]
    """Record a result by itself."""
    tell_numbers: Callable[[bytes, Sequence[int]], None]
    """Cancel running activities of an execution, by their commands' numbers."""
    on_free: Callable[[], None]
    """A seat isn't busy any more."""
    uncertain: Callable[[], None]
    """The answer to an offer was lost."""


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
        logger: logging.Logger,
    ) -> None:
        self._backend = backend
        self._app = app
        self._stepper = stepper
        self._hand_back = hand_back
        self._cache_size = cache_size
        self._links = links
        self._logger = logger
        self._backoff = Backoff(logger, "giving leases on instances back")
        self._seats: dict[int, Seat] = {}
        self._idle: OrderedDict[int, Seat] = OrderedDict()
        self._is_retiring = False
        self._is_over = False

    @property
    def busy_count(self) -> int:
        """Instances that are being worked on; the others wait for something to happen."""
        return len(self._seats) - len(self._idle)

    # --- what arrives

    def deliver_task(self, task: WorkflowTask) -> None:
        """A claimed task has come."""
        seat = self._seats.get(task.instance_key)
        if seat is None and self._is_retiring:
            self._links.spawn(self._release(Seat(task)))
            return
        if seat is None:
            seat = self._seats[task.instance_key] = Seat(task)
        self._add_task(seat, task)
        self._wake(seat)

    def deliver_result(self, task: ActivityTask, end: FinalEnd) -> bool:
        """An activity has ended here. False: its execution isn't in memory, record it as it is."""
        seat = self._seats.get(task.instance_key)
        if seat is None or not seat.add_result(Result(task, end)):
            return False
        self._wake(seat)
        return True

    def retire(self) -> None:
        """Keep nothing any more: give the leases of idle executions back now, those of others with their checkpoint."""
        self._is_retiring = True
        self._evict(0)

    def drop_all(self) -> None:
        """The leases are gone: take everything out of memory, on this thread."""
        self._is_retiring = self._is_over = True
        for seat in self._seats.values():
            seat.unload()
        self._seats.clear()
        self._idle.clear()

    def _add_task(self, seat: Seat, task: WorkflowTask) -> None:
        displaced = seat.add_task(task)
        if displaced is not None:
            self._links.spawn(self._release(Seat(displaced)))

    # --- one seat at work

    def _wake(self, seat: Seat) -> None:
        if not seat.is_busy:
            seat.is_busy = True
            self._idle.pop(seat.instance_key, None)
            self._links.spawn(self._work(seat))

    async def _work(self, seat: Seat) -> None:
        try:
            while (work := seat.next_work()) is not None:
                await self._step(seat, work)
        finally:
            seat.is_busy = False
            if not self._is_over:
                self._settle(seat)

    def _settle(self, seat: Seat) -> None:
        """The seat has nothing to do: it stays while its execution is in memory."""
        if seat.execution is None:
            self._seats.pop(seat.instance_key, None)
        else:
            self._idle[seat.instance_key] = seat
            self._evict(0 if self._is_retiring else self._cache_size)
        self._links.on_free()

    def _evict(self, capacity: int) -> None:
        while len(self._idle) > capacity:
            key, seat = self._idle.popitem(last=False)
            del self._seats[key]
            seat.unload()
            self._links.spawn(self._release(seat))

    async def _step(self, seat: Seat, work: Work) -> None:
        try:
            if work.task is not None:
                await self._sit_down(seat, work.task)
            if self._is_over:
                seat.unload()
                return
            work, strays = seat.sort_out(work)
            self._send_alone(strays)
            checkpoint = None if seat.execution is None else self._stepper.apply(seat, work)
        except HOPELESS:
            raise
        except Exception as problem:
            self._send_alone(work.results)
            await self._give_way(seat, problem)
            return
        if checkpoint is None:
            self._send_alone(work.results)
        else:
            await self._commit(seat, checkpoint, work.results)

    async def _sit_down(self, seat: Seat, task: WorkflowTask) -> None:
        """Take the task's lease, and have its execution in memory."""
        if not seat.fits(task):
            seat.unload()
        seat.sit_down(task)
        if seat.execution is None:
            if task.workflow not in self._app.workflows:
                raise StaleTask  # continue-as-new went on as one that other workers know
            await self._stepper.load(seat, task)

    async def _commit(self, seat: Seat, checkpoint: Checkpoint, results: tuple[Result, ...]) -> None:
        closing = checkpoint.closing
        keeps = not self._is_retiring and self._cache_size > 0 and (closing is None or closing.following is not None)
        offer = self._hand_back.offer(checkpoint, workflow_task=keeps)
        try:
            outcome = await self._stepper.commit(seat, checkpoint, results, release=not keeps, offer=offer)
        except BaseException as problem:
            self._hand_back.withdraw(offer)
            if not isinstance(problem, Exception) or isinstance(problem, HOPELESS):
                raise
            if offer is not None and isinstance(problem, StoreUnavailable):
                self._links.uncertain()
            self._send_alone(results)
            await self._commit_failed(seat, problem)
            return
        if self._is_over:
            self._hand_back.withdraw(offer)
        elif isinstance(outcome, Rejected):
            self._hand_back.withdraw(offer)
            self._send_alone(results)
            self._logger.info("a checkpoint of %s was refused: %s", seat.instance_id, outcome.reason)
            seat.unload()
            await self._release(seat)
        else:
            self._hand_back.settle(offer, outcome.activities)
            await self._committed(seat, checkpoint, outcome, keeps=keeps)

    async def _committed(self, seat: Seat, checkpoint: Checkpoint, outcome: Checkpointed, *, keeps: bool) -> None:
        assert seat.execution is not None
        seat.execution.committed(outcome)
        told = [cancel.number for cancel in checkpoint.cancelled_activities if cancel.told]
        if told:
            self._links.tell_numbers(seat.execution_id, told)
        if not keeps or checkpoint.closing is not None:
            seat.unload()
        if outcome.workflow_task is not None:
            self._add_task(seat, outcome.workflow_task)
        elif keeps and checkpoint.closing is not None:
            await self._release(seat)

    # --- what goes wrong

    async def _give_way(self, seat: Seat, problem: Exception) -> None:
        """The task can't be done here and now: leave it to others, or mark the instance stuck."""
        seat.unload()
        if isinstance(problem, StaleTask):
            await self._release(seat)
        else:
            await self._mark_stuck(seat, problem)

    async def _commit_failed(self, seat: Seat, problem: Exception) -> None:
        """Unknown, or impossible: what is in memory may be ahead of the store."""
        seat.unload()
        if isinstance(problem, StoreUnavailable):
            self._logger.warning("whether a checkpoint of %s was written isn't known: %s", seat.instance_id, problem)
            await self._release(seat)
        else:
            await self._mark_stuck(seat, problem)

    async def _mark_stuck(self, seat: Seat, problem: Exception) -> None:
        is_runaway = isinstance(problem, RunawayWorkflow)
        retry_in: Micros | None = None if is_runaway else retry_delay(seat.stuck_attempts)
        when = "waits for resume" if retry_in is None else f"is tried again in {retry_in // 1_000_000} s"
        self._logger.error("%s is stuck and %s", seat.instance_id, when, exc_info=problem)
        reason = f"{type(problem).__name__}: {problem}"
        await self._leave(
            seat,
            MarkStuck(instance_key=seat.instance_key, token=seat.token, reason=reason, retry_in=retry_in),
        )

    async def _release(self, seat: Seat) -> None:
        await self._leave(seat, ReleaseInstance(instance_key=seat.instance_key, token=seat.token))

    async def _leave(self, seat: Seat, transition: MarkStuck | ReleaseInstance) -> None:
        """Give the lease back. What was claimed under it meanwhile is claimed again."""
        await until_done(lambda: self._backend.commit(transition), self._backoff)
        seat.drop_task(transition.token)

    def _send_alone(self, results: tuple[Result, ...]) -> None:
        for result in results:
            self._links.record_alone(result.task, result.end)
