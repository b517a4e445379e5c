"""One action on all instances of a filter: a task of the server's process, with progress.

The ids are collected first, page by page, so that what changes meanwhile is neither left out nor done twice; then some are done at
a time. Each is asked for, carried out and put on record as if it were alone. A restart of the server forgets the batch and its progress;
what was done stays done, and the same batch again does the rest.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from perdure.client.listing import read_instances
from perdure.clock import Clock, SystemClock, random_id, to_datetime
from perdure.diagnostics.actions import audit
from perdure.diagnostics.actions.desk import Desk, refusal
from perdure.diagnostics.actions.inputs import NO_INPUTS, Inputs
from perdure.diagnostics.actions.results import Result, Verdict, conflict, done, invalid, result_of
from perdure.diagnostics.actions.table import ACTIONS, ActionName, Target, TargetKind
from perdure.errors import PerdureError
from perdure.model.inspection import InstanceFilter

logger = logging.getLogger("perdure.diagnostics")

AT_ONCE = 8
"""Instances of a batch; a store gathers them into one transaction."""
MOST_RUNNING = 4
MOST_INSTANCES = 100_000
"""What is over that is left for another batch: the ids are kept in memory."""
_KEPT = 50
"""Batches that have ended."""
_FAILURES_SHOWN = 10

_NO_FILTER = InstanceFilter()


class Phase(enum.StrEnum):
    """Where a batch stands."""

    COLLECTING = "collecting"
    RUNNING = "running"
    ENDED = "ended"
    STOPPED = "stopped"
    """By somebody, before its end."""
    BROKEN_OFF = "broken_off"
    """It couldn't go on; `problem` says why."""


class BatchFailure(msgspec.Struct, frozen=True):
    """Why it wasn't done to an instance."""

    instance_id: str
    message: str


class BatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands."""

    batch_id: str
    action: ActionName
    filter: InstanceFilter
    who: str
    started_at: datetime
    ended_at: datetime | None
    phase: Phase
    total: int
    """Instances that were found, those that are left out included."""
    done: int
    skipped: int
    """On which the action makes no sense."""
    failed: int
    failures: tuple[BatchFailure, ...]
    """The first few."""
    is_cut: bool
    """There are more instances than one batch takes: start it again for the rest."""
    problem: str


class Batches:
    """The batches of a server. Whoever makes it closes it."""

    def __init__(self, desk: Desk, clock: Clock | None = None) -> None:
        self._desk = desk
        self._clock: Clock = clock or SystemClock()
        self._batches: dict[str, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self, request: Any, name: ActionName, where: InstanceFilter, inputs: Inputs = NO_INPUTS
    ) -> BatchStatus | Result:
        """The batch that has begun, or why it hasn't."""
        if not ACTIONS[name].is_for_many:
            return invalid(f"{name} is for one {ACTIONS[name].kind} at a time")
        if where == _NO_FILTER:
            return invalid("a batch needs a filter", "Give at least one condition, as in states or workflow.")
        target = filter_target(where)
        who = await self._desk.who(request, name, target)
        if who is None:
            return refusal(name, target)
        if len(self._tasks) >= MOST_RUNNING:
            return conflict(f"{MOST_RUNNING} batches are running already", "Wait for one to end, or stop one.")
        batch = _Batch(self._desk, self._clock, _Order(request, who, name, where, inputs))
        audit.record(who, name, target, audit.BATCH_STARTED)
        self._run(batch)
        return batch.status()

    async def stop(self, request: Any, batch_id: str) -> Result:
        """Let it begin nothing more. Whoever may start a batch may stop it."""
        batch = self._batches.get(batch_id)
        if batch is None:
            return _no_batch(batch_id)
        target = filter_target(batch.order.where)
        who = await self._desk.who(request, batch.order.name, target)
        if who is None:
            return refusal(batch.order.name, target)
        batch.stop()
        audit.record(who, batch.order.name, target, audit.BATCH_STOPPED)
        return done("The batch begins nothing more; what was done stays done.")

    def read(self, batch_id: str) -> BatchStatus | Result:
        batch = self._batches.get(batch_id)
        return _no_batch(batch_id) if batch is None else batch.status()

    def list(self) -> list[BatchStatus]:
        """Those that run and the last that have ended, the newest first."""
        return [batch.status() for batch in reversed(self._batches.values())]

    async def close(self) -> None:
        """Break off those that run; what is on its way may still be done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait(self) -> None:
        """Until all that run now have ended."""
        await asyncio.gather(*self._tasks)

    def _run(self, batch: _Batch) -> None:
        ended = [each.batch_id for each in self._batches.values() if each.has_ended]
        for batch_id in ended[: max(0, len(ended) - _KEPT + 1)]:
            del self._batches[batch_id]
        self._batches[batch.batch_id] = batch
        task = asyncio.create_task(batch.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Order(NamedTuple):
    """What was asked for, and by whom."""

    request: Any
    who: str
    name: ActionName
    where: InstanceFilter
    inputs: Inputs


class _Batch:
    def __init__(self, desk: Desk, clock: Clock, order: _Order) -> None:
        self.batch_id = random_id().hex()
        self.order = order
        self._desk, self._clock = desk, clock
        self._started_at = to_datetime(clock.now())
        self._ended_at: datetime | None = None
        self._phase = Phase.COLLECTING
        self._total = self._done = self._skipped = self._failed = 0
        self._failures: list[BatchFailure] = []
        self._is_cut = self._is_stopped = False
        self._problem = ""

    @property
    def has_ended(self) -> bool:
        return self._ended_at is not None

    def stop(self) -> None:
        self._is_stopped = True

    async def run(self) -> None:
        try:
            ids = await self._collect()
            self._phase = Phase.RUNNING
            left = iter(ids)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(ids))):
                    group.create_task(self._work(left))
        except PerdureError as problem:
            self._problem = result_of(problem).message
        except Exception:  # the program's own hook, say: nobody awaits this task
            logger.exception("batch %s (%s) broke off", self.batch_id, self.order.name)
            self._problem = "an error of the server: its log says more"
        except asyncio.CancelledError:
            self._problem = "the server stopped"
            raise
        finally:
            self._end()

    async def _collect(self) -> list[str]:
        suits, ids = ACTIONS[self.order.name].suits, list[str]()
        async for instance in read_instances(self._desk.client.backend, self.order.where):
            if self._is_stopped:
                break
            if len(ids) == MOST_INSTANCES:
                self._is_cut = True
                break
            self._total += 1
            if suits(instance):
                ids.append(instance.instance_id)
            else:
                self._skipped += 1
        return ids

    async def _work(self, left: Iterator[str]) -> None:
        order = self.order
        for instance_id in left:
            if self._is_stopped or self._problem:
                return
            self._count(instance_id, await self._desk.do(order.request, order.name, instance_id, order.inputs))

    def _count(self, instance_id: str, result: Result) -> None:
        if result.is_done:
            self._done += 1
            return
        self._failed += 1
        if len(self._failures) < _FAILURES_SHOWN:
            self._failures.append(BatchFailure(instance_id, result.message))
        if result.verdict is Verdict.UNAVAILABLE:  # the client has waited for the store already
            self._problem = result.message

    def _end(self) -> None:
        self._ended_at = to_datetime(self._clock.now())
        has_more = self._done + self._skipped + self._failed < self._total
        if self._problem:
            self._phase = Phase.BROKEN_OFF
        elif self._is_stopped and (has_more or self._phase is Phase.COLLECTING):
            self._phase = Phase.STOPPED
        else:
            self._phase = Phase.ENDED
        self.order = self.order._replace(request=None)  # it may hold a connection

    def status(self) -> BatchStatus:
        return BatchStatus(
            batch_id=self.batch_id,
            action=self.order.name,
            filter=self.order.where,
            who=self.order.who,
            started_at=self._started_at,
            ended_at=self._ended_at,
            phase=self._phase,
            total=self._total,
            done=self._done,
            skipped=self._skipped,
            failed=self._failed,
            failures=tuple(self._failures),
            is_cut=self._is_cut,
            problem=self._problem,
        )


def filter_target(where: InstanceFilter) -> Target:
    """The filter as a target: JSON of the conditions that are given."""
    given = {name: value for name, value in msgspec.structs.asdict(where).items() if value is not None}
    return Target(TargetKind.FILTER, msgspec.json.encode(given, order="sorted").decode())


def _no_batch(batch_id: str) -> Result:
    return Result(
        verdict=Verdict.NOT_FOUND,
        message=f"there is no batch {batch_id!r}",
        advice="A server forgets its batches when it is restarted; what they did stays done.",
    )
