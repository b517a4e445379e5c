from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.errors import (
    DecodeError,
    EncodeError,
    FailureError,
    InstanceNotFinished,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidName,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)
from perdure.model.event import CancelRequested, ExecutionCompleted, ExecutionStarted, SignalReceived
from perdure.model.failure import Failure
from perdure.model.instance import State
from perdure.serialization.failures import to_failure
from perdure.serialization.payloads import Payloads
from perdure.workflows.signal import Signal
from tests.client.by_hand import Hand
from tests.client.shop import Approval, Order, PaymentDeclined, Receipt, anything, approval, checkout, ship, wake

ORDER = Order("7", 100)
UNKNOWN = Failure(types=("shop.gone:OutOfStock", "builtins:Exception"), message="none left")


@pytest.fixture
async def handle(client: Client) -> Handle[Receipt]:
    return await client.start(checkout.with_options(instance_id="order-7"), ORDER)


class TestResult:
    async def test_c1_it_is_decoded_to_the_annotated_type(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.end(result=b'{"order_id":"7"}')

        assert await handle.result() == Receipt("7")

    async def test_c1_it_is_waited_for(self, handle: Handle[Receipt], hand: Hand) -> None:
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        await hand.end(result=b'{"order_id":"7"}')

        assert await waiting == Receipt("7")

    async def test_c1_a_handle_from_an_id_gives_the_same(
        self, client: Client, handle: Handle[Receipt], hand: Hand
    ) -> None:
        await hand.end(result=b'{"order_id":"7"}')

        assert await client.handle("order-7", workflow=checkout).result() == Receipt("7")
        assert await client.handle("order-7").result() == Receipt("7")  # the App knows the workflow
        assert await client.result("order-7") == Receipt("7")

    async def test_without_app_and_workflow_it_is_plain_data(
        self, backend: MemoryBackend, handle: Handle[Receipt], hand: Hand
    ) -> None:
        await hand.end(result=b'{"order_id":"7"}')

        async with Client(backend) as client:
            assert await client.result("order-7") == {"order_id": "7"}

    @pytest.mark.parametrize("timeout", [0, 0.01, timedelta(milliseconds=1)])
    async def test_c1_a_time_out_doesnt_cancel_the_instance(
        self, handle: Handle[Receipt], hand: Hand, timeout: float | timedelta
    ) -> None:
        with pytest.raises(TimeoutError, match="'order-7' is still running"):
            await handle.result(timeout=timeout)

        assert await handle.state() is State.RUNNING
        assert len((await hand.claim()).pending) == 1

    async def test_c1_a_cancelled_waiter_doesnt_cancel_the_instance(self, handle: Handle[Receipt], hand: Hand) -> None:
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert await handle.state() is State.RUNNING
        assert len((await hand.claim()).pending) == 1

    async def test_c1_it_follows_continue_as_new(self, handle: Handle[Receipt], hand: Hand) -> None:
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        await hand.continue_as_new("checkout", b'[{"id":"8","cents":1},false]')
        await asyncio.sleep(0)
        assert not waiting.done()
        await hand.end(result=b'{"order_id":"8"}')

        assert await waiting == Receipt("8")

    async def test_c1_it_is_decoded_by_the_workflow_that_ended(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.continue_as_new("ship", b'["a"]')
        await hand.end(result=b"3")

        assert await handle.result() == 3  # type: ignore[comparison-overlap]

    async def test_c3_a_failed_workflow_raises_from_its_exception(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.end(State.FAILED, failure=to_failure(PaymentDeclined("no money"), Payloads()))

        with pytest.raises(WorkflowFailed, match="checkout 'order-7' failed: PaymentDeclined: no money") as caught:
            await handle.result()

        assert isinstance(caught.value.__cause__, PaymentDeclined)
        assert caught.value.instance_id == "order-7"

    async def test_c3_an_exception_of_an_unknown_type_still_tells_its_name(
        self, handle: Handle[Receipt], hand: Hand
    ) -> None:
        await hand.end(State.FAILED, failure=UNKNOWN)

        with pytest.raises(WorkflowFailed) as caught:
            await handle.result()

        cause = caught.value.__cause__
        assert isinstance(cause, FailureError)
        assert cause.is_type("shop.gone.OutOfStock")

    async def test_c3_a_cancelled_workflow_raises(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.end(State.CANCELLED)

        with pytest.raises(WorkflowCancelled):
            await handle.result()

    async def test_c3_a_terminated_workflow_raises_with_the_reason(self, handle: Handle[Receipt]) -> None:
        await handle.terminate("by mistake")

        with pytest.raises(WorkflowTerminated, match="by mistake") as caught:
            await handle.result()

        assert caught.value.reason == "by mistake"

    async def test_c3_a_removed_instance_has_none(self, handle: Handle[Receipt]) -> None:
        await handle.terminate()
        await handle.remove()

        with pytest.raises(InstanceNotFound):
            await handle.result()

    async def test_c3_who_waits_while_it_is_removed_learns_it(self, handle: Handle[Receipt]) -> None:
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        await handle.terminate()
        await handle.remove()

        with pytest.raises((InstanceNotFound, WorkflowTerminated)):
            await waiting

    async def test_wait_tells_the_end_whatever_it_is(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.end(State.FAILED, failure=UNKNOWN)

        assert await handle.wait() is State.FAILED

    async def test_a_result_of_another_shape_is_a_decode_error(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.end(result=b"3")

        with pytest.raises(DecodeError):
            await handle.result()

    async def test_run_starts_and_waits(self, client: Client, hand: Hand) -> None:
        running = asyncio.create_task(client.run(ship, "abc"))
        await asyncio.sleep(0.01)
        await hand.end(result=b"3")

        assert await running == 3


class TestSignals:
    async def test_c1_they_arrive_in_order(self, handle: Handle[Receipt], hand: Hand) -> None:
        await handle.signal(approval, Approval("one"))
        await handle.signal(wake)

        events = [pending.event for pending in (await hand.claim()).pending]

        assert [(event.name, event.payload) for event in events if isinstance(event, SignalReceived)] == [
            ("approval", b'{"by":"one"}'),
            ("wake", b"null"),
        ]

    async def test_c2_one_with_a_key_arrives_once(self, handle: Handle[Receipt], hand: Hand) -> None:
        for value in (Approval("one"), Approval("two")):
            await handle.signal(approval, value, idempotency_key="once")
        await handle.signal(wake, idempotency_key="once")

        events = [pending.event for pending in (await hand.claim()).pending]

        assert [event.payload for event in events if isinstance(event, SignalReceived)] == [b'{"by":"one"}', b"null"]

    async def test_c2_keys_belong_to_an_instance(self, client: Client, handle: Handle[Receipt], hand: Hand) -> None:
        other = await client.start(checkout, ORDER)

        for each in (handle, other):
            await each.signal(wake, idempotency_key="once")

        assert [len((await hand.claim()).pending) for _ in range(2)] == [2, 2]

    @pytest.mark.parametrize("value", ["me", None, {"by": 3}, object()])
    async def test_a4_a_wrong_value_is_refused_and_nothing_is_recorded(
        self, handle: Handle[Receipt], hand: Hand, value: object
    ) -> None:
        with pytest.raises(EncodeError):
            await handle.signal(approval, value)  # type: ignore[misc]

        assert len((await hand.claim()).pending) == 1

    async def test_c3_to_nobody(self, client: Client) -> None:
        with pytest.raises(InstanceNotFound, match="no instance 'nobody'") as caught:
            await client.signal("nobody", wake)

        assert caught.value.instance_id == "nobody"
        assert isinstance(caught.value, LookupError)

    async def test_c3_to_one_that_has_ended(self, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.end()

        with pytest.raises(InstanceNotRunning, match=r"'order-7' has ended \(completed\)"):
            await handle.signal(wake)

    async def test_what_isnt_a_signal_is_refused(self, handle: Handle[Receipt]) -> None:
        with pytest.raises(ValueError, match="isn't a signal"):
            await handle.signal("approval", Approval("me"))  # type: ignore[call-overload]

    async def test_b8_an_id_that_no_store_takes_is_refused(self, client: Client) -> None:
        with pytest.raises(InvalidName):
            await client.signal("", wake)
        with pytest.raises(InvalidName):
            client.handle("a\0b")


class TestLife:
    async def test_c1_cancel_asks_the_workflow(self, handle: Handle[Receipt], hand: Hand) -> None:
        await handle.cancel("no longer wanted")

        events = [pending.event for pending in (await hand.claim()).pending]

        assert [event.reason for event in events if isinstance(event, CancelRequested)] == ["no longer wanted"]
        assert await handle.state() is State.RUNNING

    async def test_c1_terminate_ends_at_once_and_again_changes_nothing(self, handle: Handle[Receipt]) -> None:
        await handle.terminate("first")
        await handle.terminate("second")

        assert await handle.state() is State.TERMINATED
        with pytest.raises(WorkflowTerminated, match="first"):
            await handle.result()

    async def test_c1_suspend_and_resume(self, handle: Handle[Receipt]) -> None:
        await handle.suspend()
        assert (await handle.info()).suspended

        await handle.resume()
        assert not (await handle.info()).suspended

    async def test_c3_an_ended_instance_takes_nothing(
        self, client: Client, handle: Handle[Receipt], hand: Hand
    ) -> None:
        await hand.end()

        for call in (handle.cancel, handle.terminate, handle.suspend, handle.resume):
            with pytest.raises(InstanceNotRunning):
                await call()
        with pytest.raises(InstanceNotRunning):
            await client.retry_activity("order-7", 1)

    async def test_c3_nobody_takes_nothing(self, client: Client) -> None:
        nobody = client.handle("nobody", workflow=checkout)

        calls = (nobody.cancel, nobody.terminate, nobody.suspend, nobody.resume, nobody.remove)
        for call in (*calls, nobody.state, nobody.info, nobody.wait, nobody.result):
            with pytest.raises(InstanceNotFound):
                await call()
        with pytest.raises(InstanceNotFound):
            await nobody.read("progress")
        with pytest.raises(InstanceNotFound):
            [event async for event in nobody.history()]

    async def test_c3_a_running_instance_cant_be_removed(self, handle: Handle[Receipt]) -> None:
        with pytest.raises(InstanceNotFinished, match="wait for its end, or terminate it"):
            await handle.remove()

        assert await handle.state() is State.RUNNING


class TestLooking:
    async def test_c1_published_values_are_read_typed(
        self, client: Client, handle: Handle[Receipt], hand: Hand
    ) -> None:
        await hand.go_on(published={"progress": b"0.5", "who": b'{"by":"me"}'})

        assert await handle.read("progress") == 0.5
        assert await handle.read("who", Approval) == Approval("me")
        assert await client.read("order-7", "progress", float) == 0.5
        with pytest.raises(DecodeError):
            await handle.read("who", float)

    async def test_what_isnt_published_is_the_default_or_an_error(self, handle: Handle[Receipt]) -> None:
        assert await handle.read("progress", float, 0.0) == 0.0
        assert await handle.read("progress", float, None) is None
        with pytest.raises(LookupError, match="nothing under 'progress'"):
            await handle.read("progress", float)

    async def test_c1_history_is_that_of_the_current_execution(
        self, client: Client, handle: Handle[Receipt], hand: Hand
    ) -> None:
        await hand.continue_as_new("ship", b'["a"]')
        await hand.end(result=b"1")

        events = [each.event async for each in handle.history()]

        assert [type(event) for event in events] == [ExecutionStarted, ExecutionCompleted]
        first, second = await client.executions("order-7")
        assert second.number == 2
        assert [each.position async for each in client.history("order-7", execution_id=first.execution_id)] == [0, 1]

    async def test_activities_that_havent_ended(self, client: Client, handle: Handle[Receipt], hand: Hand) -> None:
        await hand.go_on(activity="charge")

        [activity] = await client.activities("order-7")

        assert (activity.number, activity.name, activity.attempt) == (1, "charge", 1)

    async def test_a_handle_names_its_instance(self, handle: Handle[Receipt]) -> None:
        assert repr(handle) == "<handle of instance 'order-7'>"


async def test_any_json_is_a_signal_value_of_an_untyped_signal(client: Client) -> None:
    handle = await client.start(anything, None)

    await handle.signal(Signal("free", object), {"a": [1, None]})
