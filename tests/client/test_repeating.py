from __future__ import annotations

from typing import TypeVar

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.client import repeating
from perdure.client.client import Client
from perdure.client.repeating import repeat
from perdure.errors import InstanceNotFound, StoreFull, StoreUnavailable
from perdure.model.instance import State
from perdure.model.transition import Transition
from tests.client.by_hand import Hand
from tests.client.shop import Approval, Order, approval, checkout, ship

O = TypeVar("O")  # noqa: E741 - the outcome


class LosesAnswers(MemoryBackend):
    """A memory store whose next answers get lost after the commit."""

    to_lose = 0

    async def commit(self, transition: Transition[O]) -> O:
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


async def test_what_stays_unavailable_is_raised_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "PAUSES_SECONDS", (0.0, 0.0))
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await repeat(ask)

    assert asked == 3


async def test_other_errors_are_raised_at_once() -> None:
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise StoreFull("no space left")

    with pytest.raises(StoreFull):
        await repeat(ask)

    assert asked == 1


def test_it_asks_for_some_three_seconds() -> None:
    assert 3 < sum(repeating.PAUSES_SECONDS) < 4
