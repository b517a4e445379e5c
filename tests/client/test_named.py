from __future__ import annotations

from typing import Any

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.client.named import schedule_named, start_named
from perdure.errors import ArgumentsError, ConfigurationError, InstanceAlreadyExists
from perdure.model.event import ExecutionStarted
from perdure.model.schedule import Schedule
from tests.client.by_hand import Hand
from tests.client.shop import Order, app, checkout, ship

ORDER = {"id": "7", "cents": 100}


async def arguments(hand: Hand) -> tuple[Any, ...]:
    """Of the only start, as its workflow gets them."""
    [started] = [pending.event for pending in (await hand.claim()).pending]
    assert isinstance(started, ExecutionStarted)
    return app.payloads.call(app.workflows[started.workflow].function, skip=1).decode(started.arguments)


class TestWithTheApp:
    async def test_plain_data_becomes_what_the_annotations_say(self, client: Client, hand: Hand) -> None:
        await start_named(client, "checkout", [ORDER], {"express": True}, {})

        assert await arguments(hand) == ((Order("7", 100),), {"express": True})

    async def test_it_is_the_same_start_as_by_the_function(self, client: Client) -> None:
        options = {"instance_id": "order-7", "if_exists": "use"}
        await client.start(checkout.with_options(instance_id="order-7"), Order("7", 100))

        handle = await start_named(client, "checkout", [], {"order": ORDER}, options)

        assert handle.instance_id == "order-7"
        with pytest.raises(InstanceAlreadyExists):
            await start_named(client, "checkout", [{"id": "8", "cents": 100}], {}, options)

    @pytest.mark.parametrize(
        ("args", "kwargs", "said"),
        [
            ([], {}, r"checkout\(\): missing a required argument: 'order'"),
            ([{"id": 7, "cents": 1}], {}, r"checkout\(\): order.id: Expected `str`, got `int`"),
            ([ORDER], {"fast": True}, "unexpected keyword argument 'fast'"),
        ],
    )
    async def test_what_does_not_fit_is_refused(
        self, client: Client, args: list[Any], kwargs: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ArgumentsError, match=said):
            await start_named(client, "checkout", args, kwargs, {})

    async def test_an_unknown_name_is_told_with_those_that_are_known(self, client: Client) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'checkout'") as problem:
            await start_named(client, "chekout", [], {}, {})
        assert "ship" in str(problem.value)
        assert "perdure:" not in str(problem.value)


class TestWithoutTheApp:
    @pytest.fixture
    async def stranger(self, backend: MemoryBackend) -> Client:
        stranger = Client(backend)
        await stranger.__aenter__()
        return stranger

    async def test_plain_data_is_stored_as_it_is(self, stranger: Client, hand: Hand) -> None:
        await start_named(stranger, "checkout", [ORDER], {}, {})

        assert await arguments(hand) == ((Order("7", 100),), {})

    async def test_it_is_the_same_start_as_by_the_function(self, client: Client, stranger: Client) -> None:
        await client.start(ship.with_options(instance_id="order-7"), "tea")

        handle = await start_named(stranger, "ship", ["tea"], {}, {"instance_id": "order-7", "if_exists": "use"})

        assert handle.instance_id == "order-7"

    async def test_a_schedule_starts_it_as_well(self, stranger: Client) -> None:
        handle = await schedule_named(
            stranger, Schedule("nightly", cron="@daily"), "ship", ["tea"], {}, {"queue": "eu"}
        )

        assert (await handle.status()).workflow == "ship"

    async def test_names_of_arguments_mean_nothing(self, stranger: Client) -> None:
        with pytest.raises(ArgumentsError, match="name the App"):
            await start_named(stranger, "ship", [], {"item": "tea"}, {})

    async def test_what_is_perdures_own_is_not_started(self, stranger: Client) -> None:
        with pytest.raises(ConfigurationError, match="perdure's own"):
            await start_named(stranger, "perdure:schedule", [], {}, {})
