from __future__ import annotations

from typing import TypeVar

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.client import repeating
from perdure.client.client import Client
from perdure.client.repeating import repeat
from perdure.client.waiting import wait_for_outcome
from perdure.clock import SystemClock
from perdure.errors import InstanceNotFound, StoreFull, StoreUnavailable
from perdure.model.instance import Outcome, State
from perdure.model.transition import Transition
from tests.client.by_hand import Hand
from tests.client.shop import Approval, Order, approval, checkout, ship

O = TypeVar("O")  # noqa: E741 - the outcome


class LosesAnswers(MemoryBackend):
    """A memory store whose next answers get lost after the commit, or that can't be reached for it."""

    to_lose = 0
    to_refuse = 0

    async def commit(self, transition: Transition[O]) -> O:
        if self.to_refuse:
            self.to_refuse -= 1
            raise StoreUnavailable("nothing was written", is_unwritten=True)
        answer = await super().commit(transition)
        if self.to_lose:
            self.to_lose -= 1
            raise StoreUnavailable("the connection broke")
        return answer


@pytest.fixture
def backend() -> LosesAnswers:
    return LosesAnswers()


async def test_b4_a_start_whose_answer_was_lost_is_one_start(client: Client, backend: LosesAnswers) -> None:
    backend.to_lose = 2

    handle = await client.start(ship.with_options(instance_id="one"), "a")

    assert await handle.state() is State.RUNNING
    assert await client.count() == {State.RUNNING: 1}


async def test_b4_a_signal_whose_answer_was_lost_arrives_once(
    client: Client, backend: LosesAnswers, hand: Hand
) -> None:
    handle = await client.start(checkout, Order("7", 100))
    backend.to_lose = 1

    await handle.signal(approval, Approval("me"))

    assert len((await hand.claim()).pending) == 2


async def test_b4_a_cancel_whose_answer_was_lost_arrives_once(
    client: Client, backend: LosesAnswers, hand: Hand
) -> None:
    handle = await client.start(checkout, Order("7", 100))
    backend.to_lose = 1

    await handle.cancel()

    assert len((await hand.claim()).pending) == 2


async def test_b4_a_terminate_or_remove_whose_answer_was_lost_is_done(client: Client, backend: LosesAnswers) -> None:
    handle = await client.start(checkout, Order("7", 100))

    backend.to_lose = 1
    await handle.terminate()
    backend.to_lose = 1
    await handle.remove()

    with pytest.raises(InstanceNotFound):
        await handle.state()


async def test_what_surely_was_not_done_before_is_no_repetition(client: Client, backend: LosesAnswers) -> None:
    backend.to_refuse = 2

    with pytest.raises(InstanceNotFound):
        await client.remove("nobody")


async def test_what_stays_unavailable_is_raised_in_the_end() -> None:
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await repeat(ask, patience_seconds=0.2)

    assert 3 < asked < 20


class GoesAway(MemoryBackend):
    """Nobody hears how an instance ended until so many seconds were waited."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds -= seconds

    async def wait_for_outcome(self, instance_id: str, timeout_seconds: float) -> Outcome | None:
        if self.seconds > 0:
            raise StoreUnavailable("the server is away")
        return Outcome(instance_id=instance_id, workflow="ship", state=State.COMPLETED)


@pytest.mark.parametrize(
    ("seconds", "timeout", "is_sat_out"), [(2.5, 0, True), (50, None, True), (50, 60, True), (50, 10, False)]
)
async def test_who_waits_for_an_end_sits_an_outage_out(
    monkeypatch: pytest.MonkeyPatch, seconds: float, timeout: float | None, is_sat_out: bool
) -> None:
    store = GoesAway(seconds)
    monkeypatch.setattr(repeating, "asyncio", store)  # its sleep passes the time at once

    waiting = wait_for_outcome(store, "one", timeout, SystemClock())

    if is_sat_out:
        assert (await waiting).state is State.COMPLETED
    else:
        with pytest.raises(StoreUnavailable):
            await waiting


async def test_other_errors_are_raised_at_once() -> None:
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise StoreFull("no space left")

    with pytest.raises(StoreFull):
        await repeat(ask)

    assert asked == 1
