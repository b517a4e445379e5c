from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import (
    ArgumentsError,
    ConfigurationError,
    EncodeError,
    InstanceAlreadyExists,
    InvalidName,
    PayloadTooLarge,
    RegistrationError,
)
from perdure.model.event import ExecutionStarted, SignalReceived
from perdure.model.instance import State
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.client.by_hand import Hand
from tests.client.shop import Approval, Order, anything, app, approval, charge, checkout, ship, unregistered, wake

ORDER = Order("7", 100)


async def test_c1_a_start_records_the_workflow_its_arguments_and_its_options(client: Client, hand: Hand) -> None:
    options = checkout.with_options(instance_id="order-7", priority=3, tags={"team": "a"}, timeout=timedelta(hours=1))

    handle = await client.start(options, ORDER, express=True)

    instance = await handle.info()
    task = await hand.claim()
    assert handle.instance_id == instance.instance_id == "order-7"
    assert (instance.workflow, instance.state, instance.queue) == ("checkout", State.RUNNING, "default")
    assert (instance.priority, instance.tags, instance.version) == (3, {"team": "a"}, "7")
    assert instance.deadline_at == instance.created_at + timedelta(hours=1)
    [started] = [pending.event for pending in task.pending]
    assert isinstance(started, ExecutionStarted)
    assert started.version == "7"
    assert app.payloads.call(checkout.function, skip=1).decode(started.arguments) == ((ORDER,), {"express": True})


async def test_c1_a_signal_of_the_start_stands_before_any_other(client: Client, hand: Hand) -> None:
    options = checkout.with_options(start_signal=approval(Approval("me"))).with_options(start_signal=wake(None))

    handle = await client.start(options, ORDER)
    await handle.signal(approval, Approval("later"))

    started, later = [pending.event for pending in (await hand.claim()).pending]
    assert isinstance(started, ExecutionStarted)
    assert [signal.name for signal in started.carried] == ["approval", "wake"]  # the first step finds them
    assert isinstance(later, SignalReceived)


async def test_a_delayed_start_isnt_due_yet(client: Client) -> None:
    handle = await client.start(ship.with_options(start_delay=timedelta(days=1)), "a")

    instance = await handle.info()

    assert instance.due_at == instance.created_at + timedelta(days=1)


async def test_a_plain_function_can_be_started(backend: MemoryBackend) -> None:
    async def plain(ctx: Context, text: str) -> str:
        return text

    async with Client(backend, App(workflows=[plain])) as client:
        handle = await client.start(plain, "a")

        assert (await handle.info()).workflow == "plain"


async def test_a_client_without_an_app_starts_anything_that_is_a_workflow(backend: MemoryBackend) -> None:
    async with Client(backend) as client:
        handle = await client.start(unregistered)

        assert (await handle.info()).version is None


@pytest.mark.parametrize(
    ("target", "args", "kwargs", "error"),
    [
        pytest.param(checkout, ("7",), {}, ArgumentsError, id="wrong type"),
        pytest.param(checkout, (), {}, ArgumentsError, id="missing argument"),
        pytest.param(checkout, (ORDER, 3), {}, ArgumentsError, id="extra argument"),
        pytest.param(checkout, (ORDER,), {"expres": True}, ArgumentsError, id="unknown keyword"),
        pytest.param(checkout, (Order("7", 1.5),), {}, ArgumentsError, id="wrong type inside"),  # type: ignore[arg-type]
        pytest.param(anything, (object(),), {}, EncodeError, id="can't be encoded"),
        pytest.param(anything, (float("nan"),), {}, EncodeError, id="nan"),
        pytest.param(anything, ("x" * 70_000_000,), {}, PayloadTooLarge, id="too large"),
        pytest.param(unregistered, (), {}, RegistrationError, id="not in the App"),
        pytest.param(charge, (3,), {}, RegistrationError, id="an activity"),
        pytest.param("checkout", (ORDER,), {}, RegistrationError, id="a name"),
        pytest.param(len, ("a",), {}, RegistrationError, id="no async function"),
    ],
)
async def test_a4_a_bad_start_is_a_typed_error_and_records_nothing(
    client: Client, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await client.start(target, *args, **kwargs)

    assert await client.count() == {}


async def test_a4_a_bad_start_signal_is_a_typed_error_and_records_nothing(client: Client) -> None:
    with pytest.raises(EncodeError):
        await client.start(checkout.with_options(start_signal=approval("me")), ORDER)  # type: ignore[arg-type]

    assert await client.count() == {}


async def test_another_function_of_a_registered_name_is_refused(client: Client) -> None:
    @workflow(name="ship")
    async def other(ctx: Context, item: str) -> int:
        return 0

    with pytest.raises(RegistrationError, match=r"another function, tests\.client\.shop\.ship"):
        await client.start(other, "a")


@pytest.mark.parametrize("instance_id", ["", "x" * 256, "a\0b", "\ud800"])
def test_b8_an_id_that_no_store_takes_is_refused_at_the_call(instance_id: str) -> None:
    with pytest.raises(InvalidName):
        checkout.with_options(instance_id=instance_id)


async def test_a_negative_delay_is_refused(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="start_delay"):
        await client.start(ship.with_options(start_delay=-1), "a")


class TestDuplicateIds:
    async def test_c2_by_default_a_taken_id_is_an_error_that_names_the_state_and_what_to_do(
        self, client: Client
    ) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")

        with pytest.raises(
            InstanceAlreadyExists, match=r"'one' exists already: workflow 'ship', still running.*'use'"
        ) as caught:
            await client.start(ship.with_options(instance_id="one"), "a")

        assert caught.value.instance_id == "one"

    async def test_c2_an_ended_instance_takes_its_id_until_it_is_removed(self, client: Client, hand: Hand) -> None:
        handle = await client.start(ship.with_options(instance_id="one"), "a")
        await hand.end()

        with pytest.raises(InstanceAlreadyExists, match=r"ended \(completed\)"):
            await client.start(ship.with_options(instance_id="one"), "a")
        await handle.remove()

        assert await (await client.start(ship.with_options(instance_id="one"), "a")).state() is State.RUNNING

    @pytest.mark.parametrize("ends", [False, True])
    async def test_c2_use_gives_the_instance_that_is_there(self, client: Client, hand: Hand, ends: bool) -> None:
        first = await client.start(ship.with_options(instance_id="one"), "a")
        before = await first.info()
        if ends:
            await hand.end(result=b"1")

        second = await client.start(ship.with_options(instance_id="one", if_exists="use"), "a")

        assert (await second.info()).execution_id == before.execution_id
        if ends:
            assert await second.result() == 1

    async def test_c2_use_with_another_input_is_an_error(self, client: Client) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")

        with pytest.raises(InstanceAlreadyExists, match="with other arguments"):
            await client.start(ship.with_options(instance_id="one", if_exists="use"), "b")

    async def test_c2_use_with_another_workflow_is_an_error(self, client: Client) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")

        with pytest.raises(InstanceAlreadyExists, match="workflow 'ship', still running; not 'anything'"):
            await client.start(anything.with_options(instance_id="one", if_exists="use"), "a")

    async def test_c2_use_signals_the_running_instance(self, client: Client, hand: Hand) -> None:
        options = checkout.with_options(instance_id="one", if_exists="use", start_signal=approval(Approval("me")))
        await client.start(options, ORDER)
        await client.start(options, ORDER)

        started, signalled = [pending.event for pending in (await hand.claim()).pending]

        assert isinstance(started, ExecutionStarted)
        assert len(started.carried) == 1
        assert isinstance(signalled, SignalReceived)

    async def test_c2_restart_waits_for_the_end_of_the_other_one(self, client: Client) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")

        with pytest.raises(InstanceAlreadyExists, match="cancel or terminate it first"):
            await client.start(ship.with_options(instance_id="one", if_exists="restart"), "a")

    async def test_c2_restart_takes_the_place_of_an_ended_one(self, client: Client, hand: Hand) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")
        await hand.end()

        handle = await client.start(ship.with_options(instance_id="one", if_exists="restart"), "b")

        assert await handle.state() is State.RUNNING

    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
    async def test_c2_restart_failed_takes_the_place_of_one_without_a_result(
        self, client: Client, hand: Hand, state: State
    ) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")
        await hand.end(state)

        handle = await client.start(ship.with_options(instance_id="one", if_exists="restart_failed"), "b")

        assert await handle.state() is State.RUNNING

    async def test_c2_restart_failed_leaves_one_with_a_result(self, client: Client, hand: Hand) -> None:
        await client.start(ship.with_options(instance_id="one"), "a")
        await hand.end()

        with pytest.raises(InstanceAlreadyExists, match="only if it ended without a result"):
            await client.start(ship.with_options(instance_id="one", if_exists="restart_failed"), "b")


class TestIdempotencyKeys:
    async def test_b4_a_repeated_start_is_the_same_start(self, client: Client, hand: Hand) -> None:
        options = ship.with_options(idempotency_key="request-1")
        first = await client.start(options, "a")
        await hand.end(result=b"1")

        second = await client.start(options, "a")

        assert second.instance_id == first.instance_id
        assert await second.result() == 1
        assert sum((await client.count()).values()) == 1

    async def test_b4_it_goes_with_a_given_id_too(self, client: Client) -> None:
        options = ship.with_options(instance_id="one", idempotency_key="request-1")
        await client.start(options, "a")

        assert (await client.start(options, "a")).instance_id == "one"

    async def test_one_key_stands_for_one_call(self, client: Client) -> None:
        options = ship.with_options(idempotency_key="request-1")
        await client.start(options, "a")

        with pytest.raises(InstanceAlreadyExists, match="one idempotency key stands for one call"):
            await client.start(options, "b")

    async def test_the_same_key_of_another_workflow_is_another_one(self, client: Client) -> None:
        first = await client.start(ship.with_options(idempotency_key="request-1"), "a")
        second = await client.start(anything.with_options(idempotency_key="request-1"), "a")

        assert first.instance_id != second.instance_id
