"""A handle's side of the shared writer, on its event loop: hands jobs over, hears what became of them, wakes who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from perdure.backends.answers import Answer
from perdure.backends.bells import Bell
from perdure.backends.group_commit import Job, Mailbox
from perdure.backends.notices import Notice, checksum
from perdure.backends.protocol import WorkerStart
from perdure.backends.timeouts import Timeouts
from perdure.backends.wakes import Wakes
from perdure.clock import Clock
from perdure.errors import StoreError
from perdure.model.instance import Outcome
from perdure.model.transition import Claimed, ClaimTasks

_WATCH_SECONDS = 1.0
LISTEN_SECONDS = 0.5
"""SQLite's writer listens for twice as long."""

T = TypeVar("T")

Outcomes = dict[str, set[asyncio.Future[Outcome | None]]]


class Committer(Protocol):
    """The thread that writes, seen from a desk."""

    @property
    def commits(self) -> int:
        """How many transactions it has committed."""
        ...

    def put(self, item: list[Job]) -> None:
        """Carry these out."""
        ...

    def give_up(self) -> None:
        """Fail what has waited for too long."""
        ...

    def listen(self) -> None:
        """Somebody waits for what other processes write: tell of it from now on, for a while."""
        ...

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess, for those who would else have to read."""
        ...


ReadEnded = Callable[[Sequence[str], Sequence[bytes]], Awaitable[Wakes]]
"""Which of these instances have ended or gone, and which of these questions are answered. Raises StoreError."""


class Desk:
    """What one event loop waits for. Everything but `told` runs on that loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        writer: Committer,
        read_ended: ReadEnded,
        clock: Clock,
        *,
        listen_seconds: float = LISTEN_SECONDS,
    ) -> None:
        self.mailbox = Mailbox(loop, self._hand_over)
        self.submit = self.mailbox.submit
        self.bells: dict[int, Bell] = {}
        self._loop = loop
        self._writer = writer
        self._read_ended = read_ended
        self._clock = clock
        self._listen_seconds = listen_seconds
        self._outcomes: Outcomes = {}
        self._replies: dict[bytes, asyncio.Future[bytes | None]] = {}
        self._timeouts: Timeouts[Any] = Timeouts(loop, outcome=None)
        self._waiting = 0
        self._listener: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._recheck: asyncio.Task[None] | None = None
        self._is_stale = False

    async def close(self) -> None:
        """Finish what is under way; those who wait are told that nothing more will come."""
        await self.mailbox.drain()
        for timer in (self._watch, self._listener):
            if timer is not None:
                timer.cancel()
        for bell in self.bells.values():
            bell.close()
        for waiters in self._outcomes.values():
            for waiter in waiters:
                _settle(waiter, None)
        for reply in self._replies.values():
            _settle(reply, None)
        if self._recheck is not None:
            self._recheck.cancel()

    # --- called by the writer's thread

    def told(self, jobs: list[Job], wakes: Wakes, has_strangers: bool) -> None:
        """These jobs are settled, this became ready; strangers have written since the last time."""
        if not jobs and not has_strangers and not self._is_interested(wakes):
            return
        self._call(self._hear, jobs, wakes, has_strangers)

    def heard(self, notice: Notice) -> None:
        """Another process tells what it has committed. From any thread."""
        if self.bells or self._outcomes or self._replies:
            self._call(self._hear_others, notice)

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            return  # the loop is closed, and with it everybody who waited there

    def _is_interested(self, wakes: Wakes) -> bool:
        return bool(wakes and (self.bells or self._outcomes or self._replies))

    # --- on the loop

    def _hear(self, jobs: list[Job], wakes: Wakes, has_strangers: bool) -> None:
        if jobs:
            self.mailbox.settle(jobs)
        if self._outcomes:
            self._hear_of_ends(wakes)
        for bell in self.bells.values():
            bell.hear(wakes)
        for question_id, reply in wakes.replies.items():
            waiting = self._replies.get(question_id)
            if waiting is not None:
                _settle(waiting, reply)
        if has_strangers:
            self._strangers_wrote()

    def _hear_of_ends(self, wakes: Wakes) -> None:
        awaited = self._outcomes
        for instance_id, outcome in wakes.outcomes.items():
            for waiter in awaited.get(instance_id, ()):
                _settle(waiter, outcome)
        for instance_id in wakes.gone:
            for waiter in awaited.get(instance_id, ()):
                _settle(waiter, None)

    def _hear_others(self, notice: Notice) -> None:
        self._hear([], notice.as_wakes(), has_strangers=False)
        if self._replies.keys() & notice.replies or self._is_awaited(notice.ended):
            self._look_again()

    def _is_awaited(self, ended: list[int] | None) -> bool:
        if ended is None:
            return bool(self._outcomes)
        return not {checksum(instance_id) for instance_id in self._outcomes}.isdisjoint(ended)

    def poll(self, *, rings: bool) -> None:
        """Nothing may have been heard: look. From any thread."""
        if self.bells or self._outcomes or self._replies:
            self._call(self._strangers_wrote if rings else self._look_again)

    def _strangers_wrote(self) -> None:
        """What exactly isn't known: let everybody look."""
        for bell in self.bells.values():
            bell.ring()
            bell.ask()
        self._look_again()

    def _look_again(self) -> None:
        if self._outcomes or self._replies:
            self._is_stale = True
            if self._recheck is None or self._recheck.done():
                self._recheck = self._loop.create_task(self._read_again())

    async def _read_again(self) -> None:
        while self._is_stale:
            self._is_stale = False
            try:
                wakes = await self._read_ended(list(self._outcomes), list(self._replies))
            except StoreError:
                return  # the next change is noticed as well, and whoever times out reads for himself
            self._hear([], wakes, has_strangers=False)

    def _hand_over(self, jobs: list[Job]) -> None:
        self._writer.put(jobs)
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_SECONDS, self._look_after)

    def _look_after(self) -> None:
        """While jobs are under way: nobody else would notice that the lock isn't given back."""
        self._watch = None
        if self.mailbox.is_busy:
            self._writer.give_up()
            self._watch = self._loop.call_later(_WATCH_SECONDS, self._look_after)

    # --- waiting

    def expect(self, worker_key: int, start: WorkerStart) -> None:
        """The worker may wait here."""
        self.bells[worker_key] = Bell(self._loop, self._clock, worker_key, start)

    async def wait_for_work(self, worker_key: int, timeout_seconds: float) -> None:
        bell = self.bells.get(worker_key)
        if bell is None:  # there is no such worker: nothing will come for it
            await asyncio.sleep(timeout_seconds)
            return
        await self._listening(bell.wait(timeout_seconds))

    async def wait_for_questions(self, worker_key: int, timeout_seconds: float) -> None:
        bell = self.bells.get(worker_key)
        if bell is None:
            await asyncio.sleep(timeout_seconds)
            return
        await self._listening(bell.wait_for_questions(timeout_seconds))

    def claim(self, transition: ClaimTasks) -> Answer[Claimed]:
        """What is committed from here on rings again, and what the claim says is due later rings then."""
        bell = self.bells.get(transition.worker_key)
        claim: Answer[Claimed] = self.submit(transition)
        if bell is None:
            return claim
        bell.claim_begins()
        told: Answer[Claimed] = Answer(self._loop)

        def ended(claim: Answer[Claimed]) -> None:
            told.outcome, told.error = claim.outcome, claim.error
            if claim.outcome is not None:
                bell.claim_ended(claim.outcome)
            told.settle()

        claim.add_done_callback(ended)
        return told

    def questions_taken(self, worker_key: int) -> None:
        """The worker reads its questions now."""
        bell = self.bells.get(worker_key)
        if bell is not None:
            bell.questions_taken()

    def forget(self, worker_key: int) -> None:
        """The worker has stopped."""
        bell = self.bells.pop(worker_key, None)
        if bell is not None:
            bell.close()

    async def wait_for_end(
        self, instance_id: str, timeout_seconds: float, look: Callable[[], Awaitable[Outcome | None]]
    ) -> Outcome | None:
        """What ends it while we wait, or what `look` finds now; None after the time-out, or if it has gone."""
        waiter: asyncio.Future[Outcome | None] = self._loop.create_future()
        waiters = self._outcomes.setdefault(instance_id, set())
        waiters.add(waiter)
        try:
            if not self._writer.is_known_to_run(instance_id):
                found = await look()
                if found is not None:
                    return found
            return await self._wait(waiter, timeout_seconds)
        finally:
            waiters.discard(waiter)
            if not waiters and self._outcomes.get(instance_id) is waiters:
                del self._outcomes[instance_id]

    async def wait_for_reply(
        self, question_id: bytes, timeout_seconds: float, ask: Callable[[], Awaitable[bool]]
    ) -> bytes | None:
        """The reply to a question that `ask` puts; None if it can't be put, or isn't answered in time."""
        waiter: asyncio.Future[bytes | None] = self._loop.create_future()
        self._replies[question_id] = waiter
        try:
            return await self._wait(waiter, timeout_seconds) if await ask() else None
        finally:
            del self._replies[question_id]

    async def _wait(self, waiter: asyncio.Future[T | None], timeout_seconds: float) -> T | None:
        self._listens()
        try:
            found: T | None = await self._timeouts.wait(waiter, timeout_seconds)
            return found
        finally:
            self._waiting -= 1

    async def _listening(self, waiting: Awaitable[T]) -> T:
        """Have the writer look for what other processes write, for as long as this waits."""
        self._listens()
        try:
            return await waiting
        finally:
            self._waiting -= 1

    def _listens(self) -> None:
        self._waiting += 1
        if self._listener is None:
            self._listen()

    def _listen(self) -> None:
        """One timer, however many wait, and none for each of them."""
        self._listener = None
        if self._waiting:
            self._writer.listen()
            self._listener = self._loop.call_later(self._listen_seconds, self._listen)


def _settle(waiter: asyncio.Future[T], value: T) -> None:
    if not waiter.done():
        waiter.set_result(value)
