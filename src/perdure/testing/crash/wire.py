"""The store as a worker sees it that is going to crash, or whose deliveries are late or come twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import NoReturn, TypeVar

from perdure.backends.answers import Answer, answer_of, failed, settled
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.memory.store import MemoryStore
from perdure.backends.memory.workers import lose
from perdure.backends.protocol import WorkerStart
from perdure.errors import StoreUnavailable
from perdure.model.transition import AppendEvent, CompleteActivityTask, CompleteWorkflowTask, CreateInstance, Transition
from perdure.testing.crash.run import Run
from perdure.testing.crash.trouble import Kind

O = TypeVar("O")  # noqa: E741 - the outcome
T = TypeVar("T")

_HELD_BACK = (CompleteActivityTask, CompleteWorkflowTask)
_COUNTED = (*_HELD_BACK, CreateInstance, AppendEvent)
"""What a worker writes. (Claims write nothing that isn't seen in what follows them, and come by chance.)"""


class Gate:
    """Holds back who passes it, and lets one after the other go on, in an order of its own."""

    def __init__(self, dice: Random, arrived: Callable[[], object]) -> None:
        self._dice = dice
        self._arrived = arrived
        self._waiting: list[asyncio.Future[None]] = []
        self._is_open = False

    async def passed(self) -> None:
        if self._is_open:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._arrived()
        await waiting

    def release(self) -> bool:
        """Let one go on; whether there was one."""
        while self._waiting:
            waiting = self._waiting.pop(self._dice.randrange(len(self._waiting)))
            if not waiting.done():
                waiting.set_result(None)
                return True
        return False

    def open(self) -> None:
        """Hold nobody back any more."""
        self._is_open = True
        while self.release():
            pass


class Wire(MemoryBackend):
    """A handle of one worker. `crashed` and `cancel_all` are told when it is time."""

    def __init__(
        self,
        store: MemoryStore,
        run: Run,
        gate: Gate | None,
        *,
        crashed: Callable[[], object],
        cancel_all: Callable[[], object],
    ) -> None:
        super().__init__(store)
        self._run = run
        self._gate = gate
        self._crashed = crashed
        self._cancel_all = cancel_all
        self._worker_key = 0
        self.is_dead = False

    async def start_worker(self, start: WorkerStart) -> int:
        self._worker_key = await super().start_worker(start)
        return self._worker_key

    def twin(self) -> MemoryBackend:
        return MemoryBackend(self.store)

    async def commit(self, transition: Transition[O]) -> O:
        return await self.submit(transition)

    def submit(self, transition: Transition[O]) -> Answer[O]:
        loop = asyncio.get_running_loop()
        if self._gate is not None and type(transition) in _HELD_BACK:
            return answer_of(asyncio.ensure_future(self._late(self._gate, transition)))
        try:
            return settled(loop, self._carried_out(transition))
        except Exception as problem:
            return failed(loop, problem)

    async def _late(self, gate: Gate, transition: Transition[O]) -> O:
        await gate.passed()
        return self._carried_out(transition)

    def _carried_out(self, transition: Transition[O]) -> O:
        if self.is_dead:
            raise StoreUnavailable("this worker has crashed")
        if type(transition) not in _COUNTED:
            return self.store.commit(transition)
        trouble, number = self._run.trouble, self._run.next_commit()
        is_now = number == trouble.number
        if is_now and trouble.kind is Kind.BEFORE:
            self._crash()
        outcome = self.store.commit(transition)
        if trouble.kind is Kind.TWICE:
            self.store.commit(transition)  # the second answer reaches nobody
        if is_now and trouble.kind is Kind.AFTER:
            self._crash()
        if is_now and trouble.kind is Kind.CANCEL:
            self._cancel_all()
        return outcome

    def _crash(self) -> NoReturn:
        self.is_dead = True
        self._crashed()
        raise StoreUnavailable("this worker has crashed")

    def lose_worker(self) -> None:
        """Its leases have lapsed."""
        self.store.locked(lambda tables, now: lose(tables, _of(tables.workers.get(self._worker_key)), now, []))


def _of(found: T | None) -> list[T]:
    return [] if found is None else [found]
