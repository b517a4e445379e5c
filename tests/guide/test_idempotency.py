"""docs/idempotency.md on every store: requests that come twice, and steps that are executed twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perdure import (
    App,
    Client,
    Context,
    InstanceAlreadyExists,
    Orchestrator,
    RetryPolicy,
    Signal,
    State,
    SubWorkflowError,
    WorkflowFailed,
    activity,
    activity_context,
    workflow,
)
from tests.guide import bank

paid = Signal("paid", int)
go = Signal("go")
charged: list[str] = []


@activity(retry=RetryPolicy(initial_interval=0.001))
async def charge(order_id: str, failures: int = 0) -> str:
    charged.append(activity_context().idempotency_key)
    if activity_context().attempt <= failures:
        raise ConnectionError("was it charged, or not?")
    return f"receipt of {order_id}"


@workflow
async def order(ctx: Context, order_id: str, failures: int = 0) -> str:
    return await ctx.execute_activity(charge, order_id, failures)


@workflow
async def two_charges(ctx: Context) -> None:
    await asyncio.gather(ctx.execute_activity(charge, "a", 1), ctx.execute_activity(charge, "b", 1))


@workflow
async def fussy(ctx: Context, card: str) -> str:
    if card == "expired":
        raise ValueError("expired")
    return card


@workflow
async def sums(ctx: Context, total: int = 0, *, rounds: int) -> int:
    """Continues as new after each payment."""
    if rounds == 0:
        await ctx.signal_channel(go).receive()
        payments = ctx.signal_channel(paid)
        while payments.can_receive():
            total += await payments.receive()
        return total
    total += await ctx.signal_channel(paid).receive()
    ctx.continue_as_new(sums, total, rounds=rounds - 1)


@workflow
async def twins(ctx: Context) -> str:
    await ctx.execute_sub_workflow(fussy.with_options(instance_id="the-child"), "visa")
    try:
        await ctx.execute_sub_workflow(fussy.with_options(instance_id="the-child"), "visa")
    except SubWorkflowError as problem:
        return str(problem)
    return "started twice"


app = App(workflows=[order, two_charges, fussy, sums, twins], activities=[charge])


@pytest.fixture(autouse=True)
def _nothing_charged() -> None:
    charged.clear()


async def test_c2_a_repeated_request_with_the_same_id_starts_nothing(store_url: str) -> None:
    request = order.with_options(instance_id="order-7", if_exists="use")
    async with Orchestrator(store_url, app) as perdure:
        first = await perdure.run(request, "7")
        second = await perdure.run(request, "7")

        assert first == second == "receipt of 7"
        assert len(charged) == 1
        assert await perdure.count() == {State.COMPLETED: 1}


async def test_c2_of_fifty_requests_at_once_one_starts(store_url: str) -> None:
    request = order.with_options(instance_id="order-7", if_exists="use")
    async with Orchestrator(store_url, app) as perdure, Client(store_url, app) as elsewhere:
        results = await asyncio.gather(*((perdure, elsewhere)[n % 2].run(request, "7") for n in range(50)))

        assert set(results) == {"receipt of 7"}
        assert len(charged) == 1


async def test_c2_by_default_a_taken_id_is_an_error_also_after_the_end(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        await perdure.run(order.with_options(instance_id="order-7"), "7")

        with pytest.raises(InstanceAlreadyExists):
            await perdure.start(order.with_options(instance_id="order-7"), "7")
        await perdure.remove("order-7")
        await perdure.run(order.with_options(instance_id="order-7"), "7")


async def test_c2_the_same_id_for_something_else_is_an_error(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        await perdure.run(order.with_options(instance_id="order-7"), "7")

        with pytest.raises(InstanceAlreadyExists, match="other arguments"):
            await perdure.start(order.with_options(instance_id="order-7", if_exists="use"), "8")
        with pytest.raises(InstanceAlreadyExists, match="not 'fussy'"):
            await perdure.start(fussy.with_options(instance_id="order-7", if_exists="use"), "7")


async def test_c2_a_failed_one_can_be_started_anew_and_one_with_a_result_cannot(store_url: str) -> None:
    again = fussy.with_options(instance_id="payment", if_exists="restart_failed")
    async with Orchestrator(store_url, app) as perdure:
        with pytest.raises(WorkflowFailed):
            await perdure.run(again, "expired")
        assert await perdure.run(again, "visa") == "visa"

        with pytest.raises(InstanceAlreadyExists):
            await perdure.start(again, "visa")


async def test_c2_a_repeated_idempotency_key_is_the_same_instance_in_another_process_too(store_url: str) -> None:
    request = order.with_options(idempotency_key="request-4711")
    async with Orchestrator(store_url, app) as perdure, Client(store_url) as elsewhere:
        first = await perdure.start(request, "7")
        await first.result()
        second = await elsewhere.start(request, "7")

        assert second.instance_id == first.instance_id
        assert len(charged) == 1
        with pytest.raises(InstanceAlreadyExists, match="one idempotency key stands for one call"):
            await elsewhere.start(request, "8")


async def test_c2_a_signal_sent_again_with_its_key_is_received_once_across_continue_as_new(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        handle = await perdure.start(sums, rounds=1)
        await handle.signal(paid, 5, idempotency_key="delivery-1")
        while (await handle.info()).execution_number == 1:
            await asyncio.sleep(0.005)
        await handle.signal(paid, 5, idempotency_key="delivery-1")
        await handle.signal(paid, 7, idempotency_key="delivery-2")
        await handle.signal(paid, 7, idempotency_key="delivery-2")
        await handle.signal(go)

        assert await handle.result() == 12


async def test_w11_a_sub_workflow_of_a_taken_id_fails_where_it_is_awaited(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        assert "the-child" in await perdure.run(twins)


async def test_a2_each_attempt_has_the_same_key_and_no_other_activity_has_it(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        await perdure.run(two_charges)
        await perdure.run(two_charges)

        assert len(charged) == 8
        assert sorted(charged.count(key) for key in set(charged)) == [2, 2, 2, 2]


async def test_a2_a_charge_whose_worker_was_killed_is_executed_again_with_its_key_and_charged_once(
    shared_store_url: str, tmp_path: Path
) -> None:
    async with Client(shared_store_url, bank.app) as client:
        handle = await client.start(bank.buy, tmp_path)
        killed = await asyncio.to_thread(_run_worker, shared_store_url)
        assert killed == -9
        async with Orchestrator(shared_store_url, bank.app) as perdure:
            await perdure.result(handle.instance_id)

    assert len((tmp_path / "executions").read_text().splitlines()) == 2
    assert len(list((tmp_path / "charges").iterdir())) == 1


def _run_worker(url: str) -> int:
    command = [sys.executable, "-W", "error", "-m", "tests.guide.bank", url]
    return subprocess.run(command, cwd=Path(__file__).parents[2], env=os.environ, timeout=60).returncode
