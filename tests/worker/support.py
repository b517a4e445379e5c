"""What the tests of the worker share: waiting with a deadline, and stores that fail on purpose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, cast

from perdure.backends.answers import Answer, answer_of
from perdure.backends.protocol import Backend, WorkerStart
from perdure.errors import StoreError
from perdure.model.transition import Transition

DEADLINE_SECONDS = 60.0  # of a test that hangs: nothing is timed by it


async def until(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it didn't happen within {seconds} s"
        await asyncio.sleep(0.002)


async def until_async(condition: Callable[[], Awaitable[object]], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until what `condition` gives holds."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"it didn't happen within {seconds} s"
        await asyncio.sleep(0.002)


class Watched:
    """A real store whose transitions are noted, and may fail: before they are carried out, or with the answer lost."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.committed: list[Transition[Any]] = []
        self.outcomes: list[object] = []
        self.claims_at: list[float] = []
        self.fail: Callable[[Transition[Any]], StoreError | None] = lambda _: None
        self.lose_answer: Callable[[Transition[Any]], StoreError | None] = lambda _: None
        self.hold: Callable[[Transition[Any]], Awaitable[None] | None] = lambda _: None
        self.beats_fail = False
        self.starts = 0
        """Keys that were asked for."""
        self.retired: list[set[tuple[int, int]]] = []
        """What those who retired kept."""
        self.asked: list[str] = []
        """Instances about which workers were asked."""
        self.answers_are_lost = False

    async def start_worker(self, start: WorkerStart) -> int:
        self.starts += 1
        return await self._backend.start_worker(start)

    async def retire_worker(self, worker_key: int, running: Collection[tuple[int, int]]) -> None:
        self.retired.append(set(running))
        await self._backend.retire_worker(worker_key, running)

    async def ask(self, instance_id: str, request: bytes, timeout_seconds: float) -> bytes | None:
        self.asked.append(instance_id)
        return await self._backend.ask(instance_id, request, timeout_seconds)

    async def answer(self, question_id: bytes, reply: bytes) -> None:
        if self.answers_are_lost:
            raise StoreError("no answer today")
        await self._backend.answer(question_id, reply)

    async def commit(self, transition: Transition[Any]) -> Any:
        self.committed.append(transition)
        held = self.hold(transition)
        if held is not None:
            await held
        problem = self.fail(transition)
        if problem is not None:
            raise problem
        outcome = await self._backend.commit(transition)
        self.outcomes.append(outcome)
        problem = self.lose_answer(transition)
        if problem is not None:
            raise problem
        return outcome

    def submit(self, transition: Transition[Any]) -> Answer[Any]:
        return answer_of(asyncio.ensure_future(self.commit(transition)))

    async def beat(self, worker_key: int) -> Any:
        if self.beats_fail:
            raise StoreError("no beat today")
        return await self._backend.beat(worker_key)

    def twin(self) -> Backend:
        return cast("Backend", _WatchedTwin(self._backend.twin(), self))

    def of_kind(self, kind: type[Any]) -> list[Any]:
        """The transitions of a kind that were asked for."""
        return [each for each in self.committed if isinstance(each, kind)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _WatchedTwin:
    def __init__(self, twin: Backend, watched: Watched) -> None:
        self._twin = twin
        self._watched = watched

    async def beat(self, worker_key: int) -> Any:
        if self._watched.beats_fail:
            raise StoreError("no beat today")
        return await self._twin.beat(worker_key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twin, name)


def as_backend(watched: Watched) -> Backend:
    """For the type checker."""
    return cast("Backend", watched)
