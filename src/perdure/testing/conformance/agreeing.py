"""Any store against the memory store: the same script, played on both, must have the same outcomes.

A script is drawn from a seed; what it does next depends on outcomes alone, so that two stores that agree so far are asked
the same. Keys, tokens and ids differ by store and are left out of what is compared.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from perdure.backends.memory import MemoryBackend, MemoryStore
from perdure.clock import Micros, to_micros
from perdure.model.checkpoint import CancelActivity, Closing, Message
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.model.options import IfExists, ParentClose
from perdure.model.retention import StoredRetention
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityReleased,
    ActivityResult,
    ActivityRetry,
    Appended,
    AttemptFailed,
    Checkpointed,
    Claimed,
    Created,
    CreateInstance,
    Existing,
    Recorded,
    Rejected,
    Remove,
    Resume,
    RetryActivityNow,
    Suspend,
    Terminate,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import ManualClock, PlayedWorker, StoreUnderTest, in_memory

STEPS = 120


class Script:
    """A random life of five instances and two workers."""

    def __init__(self, store: StoreUnderTest, seed: int) -> None:
        self.store = store
        self.log: list[str] = []
        self._ids = store.neighbours[:5]
        self._dice = random.Random(seed)
        self._workers: list[PlayedWorker] = []
        self._held: list[tuple[PlayedWorker, WorkflowTask]] = []
        """Tasks, current and stale ones; a checkpoint puts the execution in memory in the place of its task."""
        self._attempts: list[tuple[PlayedWorker, ActivityTask]] = []
        self._number = 0
        self._execution_numbers: dict[bytes, int] = {}

    async def play(self) -> list[str]:
        self._workers = [await self.store.worker(f"worker-{number}", lease=1_000_000) for number in range(2)]
        steps: list[tuple[Callable[[], Awaitable[object]], int]] = [
            (self._create, 2),
            (self._begin, 3),
            (self._signal, 3),
            (self._claim, 8),
            (self._checkpoint, 10),
            (self._complete, 6),
            (self._give_up, 1),
            (self._operate, 2),
            (self._stop, 1),
            (self._pass_time, 1),
        ]
        for _ in range(STEPS):
            step = self._dice.choices([step for step, _ in steps], [weight for _, weight in steps])[0]
            self.log.append(f"{step.__name__}: {_summary(await step())}")
        self.log.extend(await self._look())
        return self.log

    def _worker(self) -> PlayedWorker:
        return self._dice.choice(self._workers)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _later(self, least: int, most: int) -> int:
        """A length of time. By the machine's clock it never passes while the script is played, unless it is 0."""
        units = self._dice.randint(least, most)
        return self.store.micros(units if self.store.is_clock_manual else units * 1_000_000)

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    async def _create(self) -> object:
        return await self._request(builders.create(self._dice.choice(self._ids), **self._start()))

    async def _begin(self) -> object:
        """A start with its first step."""
        worker = self._worker()
        request = worker.start_request(
            self._dice.choice(self._ids),
            builders.marked(self._next()),
            start=self._start() | {"start_delay": self._later(1, 5) if self._chance(0.05) else 0},
            offer=worker.offer(self._dice.randint(0, 2), workflow_task=self._chance(0.5)),
            release=self._chance(0.1),
            **self._parts(to_micros(await self.store.backend.now())),
            closing=self._closing(1),
        )
        outcome = await self._request(request)
        if isinstance(outcome, Created) and outcome.first is not None:
            self._execution_numbers[outcome.execution_id] = 1
            self._take(worker, in_memory(request, outcome), outcome.first)
        return outcome

    def _start(self) -> dict[str, Any]:
        return {
            "workflow": self._dice.choice(("checkout", "checkout", "ship")),
            "priority": self._dice.choice((0, 0, 0, 1)),
            "if_exists": self._dice.choice(list(IfExists)),
            "signals": tuple(builders.signal(f"start-{self._next()}") for _ in range(self._dice.choice((0, 0, 1, 2)))),
            "retention": self._retention(),
        }

    def _retention(self) -> StoredRetention | None:
        if self._chance(0.5):
            return None
        return StoredRetention(completed=self._later(0, 20), failed=self._later(5, 30), terminated=self._later(1, 5))

    async def _request(self, request: CreateInstance) -> Created | Existing:
        first = await self.store.backend.commit(request)
        if self._chance(0.2):
            again = await self.store.backend.commit(request)
            assert not isinstance(again, Created) or again.first is None
        return first

    async def _signal(self) -> object:
        worker = self._worker()
        message = builders.append_signal(
            self._dice.choice(self._ids), f"signal-{self._next()}", offer=worker.offer() if self._chance(0.5) else None
        )
        if self._chance(0.2):
            cancel = builders.append_cancel(message.instance_id)
            message = msgspec.structs.replace(cancel, offer=message.offer)
        first = await self.store.backend.commit(message)
        if isinstance(first, Appended) and first.workflow_task is not None:
            self._held.append((worker, first.workflow_task))
        return (first, await self.store.backend.commit(message)) if self._chance(0.3) else first

    async def _claim(self) -> object:
        worker = self._worker()
        claimed = await worker.claim(self._dice.randint(0, 4), self._dice.randint(0, 4))
        self._held.extend((worker, task) for task in claimed.workflow_tasks)
        self._attempts.extend((worker, task) for task in claimed.activity_tasks)
        return claimed

    async def _checkpoint(self) -> object:
        if not self._held:
            return None
        worker, task = self._dice.choice(self._held)
        consumed = [pending for pending in task.pending if self._chance(0.9) or not pending.id]
        parts: dict[str, Any] = {
            "events": tuple(pending.event for pending in consumed),
            "consumed": tuple(pending.id for pending in consumed if pending.id),
            **self._parts(task.now),
            "closing": self._closing(self._execution_number(task)),
        }
        offer = worker.offer(self._dice.randint(0, 2), workflow_task=self._chance(0.5)) if self._chance(0.7) else None
        outcome = await worker.try_checkpoint(
            task, builders.marked(self._next()), offer=offer, release=self._chance(0.1), **parts
        )
        if isinstance(outcome, Checkpointed):
            self._held.remove((worker, task))
            # One event more than those applied: the mark, and the end if there is one.
            length = len(parts["events"]) + 1
            self._take(worker, msgspec.structs.replace(task, pending=(), position=task.position + length), outcome)
        elif self._chance(0.5):
            self._held.remove((worker, task))
        return outcome

    def _take(self, worker: PlayedWorker, going_on: WorkflowTask, outcome: Checkpointed) -> None:
        """What a checkpoint leaves in the worker's hands; of an ended execution a stale task."""
        self._held.append((worker, outcome.workflow_task or going_on))
        self._attempts.extend((worker, attempt) for attempt in outcome.activities)

    def _parts(self, now: Micros) -> dict[str, Any]:
        return {
            "activities": tuple(
                builders.activity(self._next(), priority=self._dice.choice((0, 0, 1)))
                for _ in range(self._dice.choice((0, 1, 1, 2)))
            ),
            "cancelled_activities": tuple(
                CancelActivity(number, told=self._chance(0.5))
                for number in range(1, self._number + 1)
                if self._chance(0.03)
            ),
            "messages": tuple(self._message() for _ in range(self._dice.choice((0, 0, 0, 1, 2)))),
            "published": {"key": b"%d" % self._next()} if self._chance(0.2) else {},
            "next_timer_at": now + self._later(1, 50) if self._chance(0.2) else None,
        }

    def _message(self) -> Message:
        target, number = self._dice.choice(self._ids), self._next()
        kind = self._dice.randrange(3)
        if kind == 0:
            return builders.sub_workflow(
                target,
                number,
                parent_close=self._dice.choice(list(ParentClose)),
                replaces_failed=self._chance(0.5),
                retention=self._retention(),
            )
        if kind == 1:
            return builders.send_signal(target, number)
        return builders.send_cancel(target, self._dice.randint(1, number))

    def _execution_number(self, task: WorkflowTask) -> int:
        for pending in task.pending:
            if isinstance(pending.event, ExecutionStarted):
                self._execution_numbers[task.execution_id] = pending.event.execution_number
        return self._execution_numbers[task.execution_id]

    def _closing(self, number: int) -> Closing | None:
        """How the execution of this number ends, if it does."""
        if self._chance(0.8):
            return None
        following = builders.continued(number + 1)
        return self._dice.choice((builders.completed(), builders.failed(), builders.cancelled(), following))

    async def _complete(self) -> object:
        if not self._attempts:
            return None
        worker, attempt = self._dice.choice(self._attempts)
        delay = self._later(0, 20)
        end = self._dice.choice(
            (
                ActivityResult(b"%d" % self._next()),
                ActivityFailure(builders.FAILURE),
                ActivityRetry(builders.FAILURE, delay),
                ActivityReleased(),
                ActivityOpened(0),
                AttemptFailed(builders.FAILURE),
            )
        )
        if self._chance(0.1):
            return await worker.heartbeat(attempt, b"%d" % self._next())
        outcome = await worker.complete(attempt, end, worker.offer() if self._chance(0.5) else None)
        if isinstance(outcome, Recorded) and outcome.workflow_task is not None:
            self._held.append((worker, outcome.workflow_task))
        if self._chance(0.8):
            self._attempts.remove((worker, attempt))
        return outcome

    async def _give_up(self) -> object:
        if not self._held:
            return None
        worker, task = self._held.pop(self._dice.randrange(len(self._held)))
        if self._chance(0.5):
            return await worker.release(task)
        return await worker.mark_stuck(task, self._dice.choice((None, 0, self._later(1, 20))))

    async def _operate(self) -> object:
        target = self._dice.choice(self._ids)
        if self._chance(0.2):
            number = self._dice.randint(1, self._number + 1)
            return await self.store.backend.commit(RetryActivityNow(instance_id=target, number=number))
        if self._chance(0.1):
            ended = self._dice.choice((State.COMPLETED, State.FAILED, State.TERMINATED))
            return (await self.store.backend.prune(InstanceFilter(states=frozenset({ended})))).removed
        kind: Any = self._dice.choice((Suspend, Resume, Resume, Resume, Terminate, Remove))
        return await self.store.backend.commit(kind(instance_id=target))

    async def _stop(self) -> object:
        worker = self._workers.pop(0)
        await worker.stop()
        self._workers.append(await self.store.worker(worker.start.name, lease=1_000_000))
        return None

    async def _pass_time(self) -> object:
        if self.store.is_clock_manual:
            await self.store.advance(self._dice.randint(0, 20))
        return await self.store.backend.housekeep(), await self.store.backend.remove_expired()

    async def _look(self) -> list[str]:
        """All that there is to see at the end."""
        backend = self.store.backend
        seen: list[str] = []
        for instance in (await backend.list_instances()).items:
            seen.append(  # what a mismatch shows first
                f"{instance.instance_id}: {instance.state} {instance.execution_number} {instance.workflow}"
                f" {instance.history_length} {instance.suspended} {instance.stuck is not None} {instance.worker}"
                f" {instance.remove_at is not None}"
            )
            for execution in await backend.read_executions(instance.instance_id):
                history = await backend.read_history(instance.instance_id, execution_id=execution.execution_id)
                seen.append(f"  {execution.number} {execution.state} {[_event(some.event) for some in history]}")
            activities = await backend.read_activities(instance.instance_id)
            seen.append(
                f"  {[(some.number, some.attempt, some.worker, some.is_open, some.lost) for some in activities]}"
            )
            seen.append(f"  {await backend.read_published(instance.instance_id, 'key')!r}")
            outcome = await backend.read_outcome(instance.instance_id)
            seen.append(f"  {outcome and (outcome.result, outcome.failure, outcome.reason)}")
        return [*seen, *[_summary(await worker.claim()) for worker in self._workers]]


def _summary(outcome: object) -> str:
    """An outcome without what differs from store to store."""
    match outcome:
        case Claimed():
            tasks = [_task(task) for task in outcome.workflow_tasks]
            return f"{tasks} {[_attempt(task) for task in outcome.activity_tasks]} told {len(outcome.told)}"
        case Checkpointed():
            task = outcome.workflow_task and _task(outcome.workflow_task)
            return f"checkpointed {[_attempt(task) for task in outcome.activities]} {task}"
        case Created():
            return f"created {outcome.token != 0} {outcome.first and _summary(outcome.first)}"
        case tuple():
            return str([_summary(each) for each in outcome])
        case Appended() | Recorded():
            return f"{type(outcome).__name__} {outcome.workflow_task and _task(outcome.workflow_task)}"
        case Rejected():
            return "rejected"
        case msgspec.Struct() if hasattr(outcome, "instance_key"):
            return type(outcome).__name__
        case _:
            return repr(outcome)


def _task(task: WorkflowTask) -> str:
    pending = [f"{some.id} {_event(some.event)}" for some in task.pending]
    parent = task.parent and (task.parent.instance_id, task.parent.number)
    return f"{task.instance_id} {task.workflow} at {task.position} {task.stuck_attempts} {parent} {pending}"


def _attempt(task: ActivityTask) -> str:
    return f"{task.instance_id} {task.number} {task.attempt} {task.cancel_requested} {task.heartbeat_details!r}"


def _event(event: Any) -> str:
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "at"}
    return f"{type(event).__name__}{fields}"


class Agreeing:
    @pytest.mark.parametrize("seed", range(25))
    async def test_a_random_script_goes_as_in_memory(self, store: StoreUnderTest, seed: int) -> None:
        """B11: the memory store is the reference: any store against it."""
        clock = ManualClock()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        memory = StoreUnderTest(
            MemoryBackend(MemoryStore(clock=clock)),
            advance=advance,
            is_clock_manual=store.is_clock_manual,
            neighbours=store.neighbours,
        )
        expected = await Script(memory, seed).play()
        assert await Script(store, seed).play() == expected
