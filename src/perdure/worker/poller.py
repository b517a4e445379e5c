"""Claiming work: for free slots alone, soon after there is some, and never in a busy loop.

After each claim the poller knows, for workflow tasks and activities, whether it got less than it had slots for (then nothing
more is due: it waits for a hint, the next due time, or a second) or as many (then there may be more: it waits for a slot as
well). With no slot at all it still looks once a second whether running activities were cancelled, leasing nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from perdure.backends.answers import may_have_happened
from perdure.errors import StoreError
from perdure.model.transition import Claimed, ClaimTasks
from perdure.worker.activities import Activities
from perdure.worker.backlog import Backlog
from perdure.worker.backoff import HOPELESS, Backoff
from perdure.worker.executions import Executions
from perdure.worker.possessions import Possessions
from perdure.worker.slots import Slots
from perdure.worker.store_time import StoreTime
from perdure.worker.threads import Threads
from perdure.worker.waiting import first_of, wait_for_event

LONGEST_WAIT_SECONDS = 1.0
_LEAST_AT_ONCE = 8
_MOST_AT_ONCE = 128
_EMPTY_CLAIMS_AT_ONCE = 3
_LONGEST_EMPTY_PAUSE_SECONDS = 0.05
_LATE_SECONDS = 0.0005
"""So that what is due then is due indeed."""


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes what is claimed, and who knows how much that may be."""

    executions: Executions
    activities: Activities
    slots: Slots
    """Of activities."""
    slot_came_free: asyncio.Event
    """Of activities or of workflow tasks; set by whoever frees one."""
    threads: Threads
    backlog: Backlog
    uncertain: Callable[[], None]
    """The answer to a claim may have been lost."""
    claimed: Callable[[], None]
    """A claim was answered."""


class Appetite:
    """How much to claim at once: little when little came, twice as much each time when all that was asked for came.

    A claim that is under way keeps slots from what comes back with commits, and takes from other workers what it could
    have left to them.
    """

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots = _LEAST_AT_ONCE

    def got(self, count: int) -> None:
        """So many tasks came."""
        wanted = 2 * count if count >= self.slots else count
        self.slots = min(max(wanted, _LEAST_AT_ONCE), _MOST_AT_ONCE)


class Poller:
    """Claims tasks and hands them to those who run them, until it is stopped."""

    def __init__(
        self,
        has: Possessions,
        worker_key: int,
        *,
        workflow_names: frozenset[str],
        workplace: Workplace,
        time: StoreTime,
    ) -> None:
        self._backend = has.backend
        self._worker_key = worker_key
        self._options = options = has.options
        self._watcher = has.watcher
        self._workflow_names = workflow_names
        self._activity_slots = workplace.slots
        self._threads = workplace.threads
        self._executions = workplace.executions
        self._activities = workplace.activities
        self._time = time
        self._backlog = workplace.backlog
        self._uncertain = workplace.uncertain
        self._claimed = workplace.claimed
        self._backoff = Backoff(has.logger, "claiming tasks")
        self._slot_came_free = workplace.slot_came_free
        self._stopped = asyncio.Event()
        self._empty_claims = 0
        self._workflow_appetite = Appetite()
        self._activity_appetite = Appetite()
        self._serves_workflows = bool(workflow_names and options.workflow_queues)
        self._serves_activities = bool(workplace.activities.names and options.activity_queues)

    def stop(self) -> None:
        """Claim nothing more. What a claim that is on its way brings is still handed over."""
        self._stopped.set()
        self._slot_came_free.set()

    async def run(self) -> None:
        """Until stopped. Raises StoreSealed and SchemaMismatch."""
        while not self._stopped.is_set():
            self._slot_came_free.clear()
            claim = self._claim()
            try:
                claimed = await self._backend.commit(claim)
            except BaseException as problem:
                self._executions.free_places(claim.workflow_slots)
                self._activity_slots.put_back(claim.activity_slots)
                if not isinstance(problem, StoreError) or isinstance(problem, HOPELESS):
                    raise
                if may_have_happened(problem):
                    self._uncertain()
                await wait_for_event(self._stopped, self._backoff.failed(problem))
                continue
            self._backoff.worked()
            self._time.observe(claimed.now)
            self._hand_over(claim, claimed)
            if claimed.is_uncertain:
                self._uncertain()
            self._claimed()
            await self._wait(claim, claimed)

    def _claim(self) -> ClaimTasks:
        """What can be taken now; the slots are reserved."""
        options = self._options
        workflow_slots = activity_slots = 0
        if self._serves_workflows:
            free = max(0, options.max_workflow_tasks - self._executions.busy_count)
            workflow_slots = min(free, self._workflow_appetite.slots)
            self._executions.keep_places(workflow_slots)
        if self._serves_activities and self._threads.waiting_count == 0:
            activity_slots = self._activity_slots.take(self._activity_appetite.slots)
        return ClaimTasks(
            worker_key=self._worker_key,
            workflow_queues=options.workflow_queues,
            workflow_slots=workflow_slots,
            workflow_names=self._workflow_names,
            activity_queues=options.activity_queues,
            activity_slots=activity_slots,
            activity_names=self._activities.names,
            versions=options.versions,
        )

    def _hand_over(self, claim: ClaimTasks, claimed: Claimed) -> None:
        self._activity_slots.put_back(claim.activity_slots - len(claimed.activity_tasks))
        self._backlog.claimed(claim, claimed)
        self._workflow_appetite.got(len(claimed.workflow_tasks))
        self._activity_appetite.got(len(claimed.activity_tasks))
        if self._watcher is not None:
            self._watcher.claimed(len(claimed.workflow_tasks), len(claimed.activity_tasks))
        for workflow_task in claimed.workflow_tasks:
            self._executions.deliver_task(workflow_task)
        for activity_task in claimed.activity_tasks:
            self._activities.begin(activity_task)
        self._activities.tell(claimed.told)
        self._executions.free_places(claim.workflow_slots)

    async def _wait(self, claim: ClaimTasks, claimed: Claimed) -> None:
        """Until another claim may bring something."""
        workflows, activities = len(claimed.workflow_tasks), len(claimed.activity_tasks)
        is_hungry = (self._serves_workflows and workflows >= claim.workflow_slots) or (
            self._serves_activities and activities >= claim.activity_slots
        )
        if not claim.workflow_slots and not claim.activity_slots:
            await wait_for_event(self._slot_came_free, LONGEST_WAIT_SECONDS)
            return
        await self._wait_for_hint(self._slot_came_free if is_hungry else self._stopped, self._longest_wait(claimed))
        self._empty_claims = 0 if workflows or activities else self._empty_claims + 1
        over = self._empty_claims - _EMPTY_CLAIMS_AT_ONCE
        if over > 0:  # hints for nothing: somebody else was faster
            await wait_for_event(self._stopped, min(0.001 * 2 ** min(over, 10), _LONGEST_EMPTY_PAUSE_SECONDS))

    def _longest_wait(self, claimed: Claimed) -> float:
        if claimed.next_due_at is None:
            return LONGEST_WAIT_SECONDS
        until_due = (claimed.next_due_at - self._time.now()) / 1_000_000
        return min(max(until_due, 0.0) + _LATE_SECONDS, LONGEST_WAIT_SECONDS)

    async def _wait_for_hint(self, other: asyncio.Event, timeout_seconds: float) -> None:
        """Until the store has a hint, or `other` is set."""
        if other.is_set():
            return
        await first_of(self._hint(timeout_seconds), other.wait())

    async def _hint(self, timeout_seconds: float) -> None:
        try:
            await self._backend.wait_for_work(self._worker_key, timeout_seconds)
        except HOPELESS:
            return  # the next claim says it
        except StoreError as problem:
            await asyncio.sleep(self._backoff.failed(problem))
