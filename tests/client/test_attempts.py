from __future__ import annotations

import pytest

from perdure.activities.token import ActivityToken
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import ConfigurationError, EncodeError, LeaseLost
from perdure.model.event import ActivityCompleted, ActivityFailed
from tests.client.by_hand import Hand
from tests.client.shop import Order, PaymentDeclined, Receipt, checkout


@pytest.fixture
async def token(client: Client, hand: Hand) -> str:
    await client.start(checkout.with_options(instance_id="order-7"), Order("7", 100))
    await hand.go_on(activity="charge")
    return str(ActivityToken.of(await hand.claim_activity()))


async def test_a1_another_process_completes_an_activity(client: Client, hand: Hand, token: str) -> None:
    await client.complete_activity(token, Receipt("7"))

    [pending] = (await hand.claim()).pending
    assert isinstance(pending.event, ActivityCompleted)
    assert pending.event.result == b'{"order_id":"7"}'


async def test_a1_also_without_the_app(backend: MemoryBackend, hand: Hand, token: str) -> None:
    async with Client(backend) as client:
        await client.complete_activity(token, {"order_id": "7"})

    [pending] = (await hand.claim()).pending
    assert isinstance(pending.event, ActivityCompleted)


async def test_a4_a_result_of_another_type_is_refused_and_nothing_is_recorded(
    client: Client, hand: Hand, token: str
) -> None:
    with pytest.raises(EncodeError, match="the result of charge"):
        await client.complete_activity(token, 3)

    await client.complete_activity(token, Receipt("7"))


async def test_a1_another_process_fails_an_activity(client: Client, hand: Hand, token: str) -> None:
    await client.fail_activity(token, PaymentDeclined("no money"))

    [pending] = (await hand.claim()).pending
    assert isinstance(pending.event, ActivityFailed)
    assert pending.event.failure.is_type("PaymentDeclined")
    assert pending.event.attempts == 1


async def test_a2_an_attempt_ends_once(client: Client, token: str) -> None:
    await client.complete_activity(token, Receipt("7"))

    with pytest.raises(LeaseLost, match="activity 'charge' of instance 'order-7' is over"):
        await client.fail_activity(token, PaymentDeclined("no money"))
    with pytest.raises(LeaseLost):
        await client.heartbeat_activity(token, 0.5)


async def test_a1_heartbeats_keep_details_and_tell_of_a_cancel(client: Client, token: str) -> None:
    assert await client.heartbeat_activity(token) is False
    assert await client.heartbeat_activity(token, 0.5) is False
    assert await client.heartbeat_activity(token, "a", 3) is False

    [activity] = await client.activities("order-7")
    assert activity.heartbeat_details == b'["a",3]'


@pytest.mark.parametrize("token", ["", "abc", "not a token", "é"])
async def test_what_isnt_a_token_is_refused(client: Client, token: str) -> None:
    with pytest.raises(ConfigurationError, match="isn't an activity's token"):
        await client.complete_activity(token, 3)
