"""The way between one machine and the store, on which everything can go wrong that goes wrong on networks.

A request travels, is carried out at the store, and its answer travels back. It can be slow, so that requests overtake each
other; be lost on the way there, or its answer on the way back (the caller is told StoreUnavailable, and can't know which);
arrive long after the caller has given up; arrive twice. The machine can crash before or after it has taken place. What is on
its way goes on when the machine crashes or stands still: it belongs to nobody's host.

Claims are not delivered twice: no transport repeats what has no id. The second delivery of anything else comes after the
first: its answer reaches nobody, and what it would lease, nobody would have.

What is submitted meets the same troubles as what is committed; only its answers keep the order of commits, instance by instance,
as a store's own connection would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextvars import Context
from random import Random
from typing import Any, TypeVar, cast

from perdure.backends.answers import Answer, answer_of
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.protocol import Backend, Beat, Housekeeping, Question, WorkerStart
from perdure.errors import StoreError, StoreUnavailable
from perdure.model.inspection import HistoryEvent
from perdure.model.instance import Outcome
from perdure.model.transition import ClaimTasks, CompleteWorkflowTask, MarkStuck, ReleaseInstance, Transition
from perdure.testing.simulation.loop import Host, VirtualLoop
from perdure.testing.simulation.referee import Referee
from perdure.testing.simulation.trace import Trace
from perdure.testing.simulation.weather import Weather

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741 - the outcome
Act = Callable[[], Coroutine[Any, Any, Any]]


class Network:
    """What all wires share. In calm weather nothing goes wrong any more."""

    def __init__(
        self, loop: VirtualLoop, weather: Weather, dice: Random, referee: Referee, trace: Trace, context: Context
    ) -> None:
        self.loop = loop
        self.weather = weather
        self.dice = dice
        self.referee = referee
        self.trace = trace
        self.context = context
        """Of no host."""
        self.is_calm = False

    def happens(self, chance: float) -> bool:
        """Whether something of this chance happens now."""
        return chance > 0 and not self.is_calm and self.dice.random() < chance

    def delay(self) -> float:
        """How long one way takes."""
        weather = self.weather
        if self.happens(weather.slow_chance):
            return self.dice.uniform(0, 1.0)
        return self.dice.uniform(0, weather.latency_seconds)


class Request:
    """What is asked of the store, and by which transition."""

    __slots__ = ("act", "is_ordered", "transition")

    def __init__(self, act: Act, transition: Transition[Any] | None, *, is_ordered: bool = False) -> None:
        self.act = act
        self.transition = transition
        self.is_ordered = is_ordered


class Wire:
    """The store, as one machine sees it. `crash` ends that machine."""

    def __init__(self, host: Host, store: MemoryBackend, network: Network, crash: Callable[[], None] | None) -> None:
        self._host = host
        self._store = store
        self._network = network
        self._crash = crash
        self.is_cut = False
        """Whether the machine is partitioned from the store."""
        self.is_dead = False
        """The machine is gone; what still runs of it gets no answers."""
        self._answered_at: dict[str, float] = {}
        """By instance: when the last answer to what was submitted for it comes."""

    # --- what a worker and a client ask

    async def commit(self, transition: Transition[O]) -> O:
        outcome: O = await self._ask(
            lambda: self._store.commit(transition), transition, may_repeat=not isinstance(transition, ClaimTasks)
        )
        return outcome

    def submit(self, transition: Transition[O]) -> Answer[O]:
        request = Request(lambda: self._store.commit(transition), transition, is_ordered=True)
        return answer_of(self._begin(request, may_repeat=not isinstance(transition, ClaimTasks)))

    async def start_worker(self, start: WorkerStart) -> int:
        key: int = await self._ask(lambda: self._store.start_worker(start))
        return key

    async def beat(self, worker_key: int) -> Beat:
        answer: Beat = await self._ask(lambda: self._store.beat(worker_key), may_repeat=True)
        return answer

    async def stop_worker(self, worker_key: int) -> None:
        await self._ask(lambda: self._store.stop_worker(worker_key), may_repeat=True)

    async def retire_worker(self, worker_key: int, running: Collection[tuple[int, int]]) -> None:
        async def retire() -> None:
            await self._store.retire_worker(worker_key, running)
            self._network.referee.retired(self._host.name, worker_key, running)

        await self._ask(retire, may_repeat=True)

    async def housekeep(self) -> Housekeeping:
        done: Housekeeping = await self._ask(self._store.housekeep, may_repeat=True)
        return done

    async def remove_expired(self, *, limit: int = 100) -> int:
        removed: int = await self._ask(lambda: self._store.remove_expired(limit=limit), may_repeat=True)
        return removed

    async def read_events(self, instance_key: int, execution_id: bytes) -> Sequence[HistoryEvent]:
        events: Sequence[HistoryEvent] = await self._ask(lambda: self._store.read_events(instance_key, execution_id))
        return events

    async def read_blob(self, blob_id: bytes) -> bytes:
        data: bytes = await self._ask(lambda: self._store.read_blob(blob_id))
        return data

    async def wait_for_work(self, worker_key: int, timeout_seconds: float) -> None:
        """Hints may get lost, and come late."""
        network = self._network
        if self.is_dead:
            raise StoreUnavailable("this machine is dead")
        if self.is_cut or network.happens(network.weather.lose_hint_chance):
            await asyncio.sleep(timeout_seconds)
            return
        await self._store.wait_for_work(worker_key, timeout_seconds)
        if network.happens(network.weather.lose_hint_chance):
            await asyncio.sleep(network.dice.uniform(0, 0.3))

    async def wait_for_questions(self, worker_key: int, timeout_seconds: float) -> None:
        """As lossy as the hints of work."""
        network = self._network
        if self.is_dead:
            raise StoreUnavailable("this machine is dead")
        if self.is_cut or network.happens(network.weather.lose_hint_chance):
            await asyncio.sleep(timeout_seconds)
            return
        await self._store.wait_for_questions(worker_key, timeout_seconds)

    async def take_questions(self, worker_key: int) -> Sequence[Question]:
        questions: Sequence[Question] = await self._ask(lambda: self._store.take_questions(worker_key))
        return questions

    async def answer(self, question_id: bytes, reply: bytes) -> None:
        await self._ask(lambda: self._store.answer(question_id, reply), may_repeat=True)

    async def wait_for_outcome(self, instance_id: str, timeout_seconds: float) -> Outcome | None:
        outcome = await self._store.wait_for_outcome(instance_id, timeout_seconds)
        if self.is_cut or self._network.happens(self._network.weather.lose_answer_chance):
            raise StoreUnavailable("simulated: the answer was lost")
        return outcome

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def twin(self) -> Backend:
        return as_backend(self)

    # --- the way there and back

    async def _ask(self, act: Act, transition: Transition[Any] | None = None, *, may_repeat: bool = False) -> Any:
        return await self._begin(Request(act, transition), may_repeat=may_repeat)

    def _begin(self, request: Request, *, may_repeat: bool) -> asyncio.Future[Any]:
        """Send it off; the future is its answer's."""
        network, weather, transition = self._network, self._network.weather, request.transition
        answer: asyncio.Future[Any] = network.loop.create_future()
        if self.is_dead:
            _settle(answer, None, StoreUnavailable("this machine is dead"))
            return answer
        if transition is not None and self._crash is not None and network.happens(weather.crash_before_chance):
            network.trace.note(self._host.name, "crashes before", type(transition).__name__)
            self._crash()  # it never gets to send anything
            return answer
        if self.is_cut or network.happens(weather.lose_request_chance):
            self._lose(answer, "request")
        elif network.happens(weather.arrive_late_chance):
            self._lose(answer, "request that arrives late,")
            self._send(request, None, network.dice.uniform(0.5, 5.0))
        else:
            delay = network.delay()
            self._send(request, answer, delay)
            if may_repeat and network.happens(weather.duplicate_chance):
                self._send(request, None, delay + network.dice.uniform(0, 2.0))
        return answer

    def _send(self, request: Request, answer: asyncio.Future[Any] | None, delay: float) -> None:
        network = self._network
        network.loop.call_later(delay, self._arrive, request, answer, context=network.context)

    def _arrive(self, request: Request, answer: asyncio.Future[Any] | None) -> None:
        network, who = self._network, self._host.name if answer is not None else f"{self._host.name}'"
        transition = request.transition
        before = None
        if isinstance(transition, CompleteWorkflowTask | ReleaseInstance | MarkStuck):
            before = network.referee.execution_of(transition.instance_key)
        instance = network.referee.instance_of(transition) if request.is_ordered else None
        try:
            outcome = _at_once(request.act())
        except StoreError as problem:
            if answer is not None:
                self._answer(answer, None, problem, instance)
            return
        if transition is not None:
            network.referee.judge(who, transition, outcome, before)
        if answer is not None:
            self._return(answer, outcome, transition, instance)

    def _return(
        self, answer: asyncio.Future[Any], outcome: object, transition: Transition[Any] | None, instance: str | None
    ) -> None:
        network, weather = self._network, self._network.weather
        if transition is not None and self._crash is not None and network.happens(weather.crash_after_chance):
            network.trace.note(self._host.name, "crashes after", type(transition).__name__)
            self._crash()
        if self.is_cut or network.happens(weather.lose_answer_chance):
            self._lose(answer, "answer", instance)
        else:
            self._answer(answer, outcome, None, instance)

    def _lose(self, answer: asyncio.Future[Any], what: str, instance: str | None = None) -> None:
        self._network.trace.note(self._host.name, f"the {what} is lost")
        self._answer(answer, None, StoreUnavailable(f"simulated: the {what} was lost"), instance)

    def _answer(
        self, answer: asyncio.Future[Any], outcome: object, problem: StoreError | None, instance: str | None = None
    ) -> None:
        network = self._network
        at = network.loop.time() + network.delay() + (0.0 if problem is None else 0.2)
        if instance is not None:
            at = self._answered_at[instance] = max(at, self._answered_at.get(instance, 0.0))
        network.loop.call_at(at, _settle, answer, outcome, problem, context=network.context)


def _settle(answer: asyncio.Future[Any], outcome: object, problem: StoreError | None) -> None:
    if answer.done():
        return
    if problem is None:
        answer.set_result(outcome)
    else:
        answer.set_exception(problem)
        answer.exception()  # its caller may have crashed: nobody else looks at it then


def _at_once(asked: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing."""
    try:
        asked.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("a request of a memory store waited")


def as_backend(wire: Wire) -> Backend:
    """For the type checkers: a wire has what workers and clients use of a Backend."""
    return cast("Backend", wire)
