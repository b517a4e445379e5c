"""Updates end to end: validated, handled and answered once, whatever dies or gets lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.errors import (
    ArgumentsError,
    HandlerNotFound,
    InstanceNotFound,
    InstanceNotRunning,
    NotAnswered,
    StoreUnavailable,
    UpdateFailed,
    UpdateNotHandled,
    UpdateRefused,
)
from perdure.model.transition import AppendEvent, CompleteWorkflowTask
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from tests.worker.asked import Account, NoCover, app, bank, go_on, hasty, rounds
from tests.worker.support import Watched, as_backend, until_async


@pytest.fixture
async def client(store: Backend) -> AsyncIterator[Client]:
    """It knows exceptions, and runs nothing."""
    async with Client(store, app) as client:
        yield client


async def kinds(handle: Handle[Any]) -> list[str]:
    return [type(each.event).__name__ async for each in handle.history()]


async def test_an_update_is_handled_and_answered(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(bank)
        assert await handle.update(Account.pay, 5) == 5
        assert await handle.update("pay", 2) == 7
        assert await handle.update(Account.close) == "closed"
        assert await handle.result() == 7
        assert (await kinds(handle)).count("UpdateAccepted") == (await kinds(handle)).count("UpdateCompleted") == 3


async def test_a_refused_update_leaves_no_trace(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(bank)
        await handle.update(Account.pay, 5)
        before = await kinds(handle)
        with pytest.raises(UpdateRefused, match=r"update 'pay' was refused .* NoCover: 5 is less than 8") as found:
            await handle.update(Account.pay, -8)
        assert isinstance(found.value.__cause__, NoCover)
        with pytest.raises(HandlerNotFound, match=r"update 'payy' has no handler .* has close, pay"):
            await handle.update("payy", 1)
        with pytest.raises(UpdateRefused, match="DecodeError"):
            await handle.update("pay", "much")
        assert await kinds(handle) == before
        assert await handle.update(Account.pay, -5) == 0


async def test_arguments_are_checked_where_the_update_is_sent(client: Client) -> None:
    """A4."""
    with pytest.raises(ArgumentsError):
        await client.handle("1").update(Account.pay, "much")  # type: ignore[call-overload]


async def test_what_the_handler_raises_is_the_cause(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(bank)
        with pytest.raises(UpdateFailed, match="NoCover: unlucky") as found:
            await handle.update(Account.pay, 13)
        assert isinstance(found.value.__cause__, NoCover)
        assert await handle.query(Account.balance) == 13


async def test_repeated_ones_get_the_first_answer(store: Backend, client: Client) -> None:
    async with Worker(store, app):
        handle = await client.start(bank)
        once = handle.with_options(idempotency_key="click")
        assert await asyncio.gather(*(once.update(Account.pay, 5) for _ in range(5))) == [5] * 5
        assert await once.update(Account.pay, 100) == 5
        assert await handle.with_options(idempotency_key="other").update(Account.pay, 1) == 6
        await handle.update(Account.close)
        await handle.result()
        assert await once.update(Account.pay, 5) == 5
        assert await handle.result() == 6


async def test_many_are_handled_in_the_order_of_history(store: Backend, client: Client) -> None:
    async with Worker(store, app), Worker(store, app):
        handle = await client.start(bank)
        answers = await asyncio.gather(*(handle.update(Account.pay, cents) for cents in range(20, 50)))
        order = [cents_of(each.event) async for each in handle.history() if _is_accepted(each.event)]
        assert sorted(order) == list(range(20, 50))
        sums = [sum(order[: place + 1]) for place in range(30)]
        assert sorted(answers) == sums


def _is_accepted(event: object) -> bool:
    return type(event).__name__ == "UpdateAccepted"


def cents_of(event: Any) -> int:
    arguments: list[int] = app.payloads.decode(event.arguments, list[int])
    return arguments[0]


async def test_what_comes_late_is_the_next_executions(store: Backend, client: Client) -> None:
    """B5: updates belong to the instance, as signals do."""
    handle = await left_alone(store, client, rounds)
    sending = [asyncio.create_task(handle.update("add", number)) for number in range(3)]
    await until_async(lambda: _has_arrived(handle))
    async with Worker(store, app):
        assert sorted(await asyncio.gather(*sending)) == [1, 2, 3]
        assert await handle.result() == 3
        assert len(await client.executions(handle.instance_id)) == 3


async def left_alone(store: Backend, client: Client, workflow: Any) -> Handle[Any]:
    """An instance that has begun and waits, and that no worker is there for."""
    async with Worker(store, app):
        handle = await client.start(workflow)
        await until_async(lambda: _has_begun(handle))
    return handle


async def _has_begun(handle: Handle[Any]) -> bool:
    info = await handle.info()
    return info.history_length > 0 and info.due_at is None


async def test_a_repeated_one_is_handled_once_across_continue_as_new(store: Backend, client: Client) -> None:
    handle = (await left_alone(store, client, rounds)).with_options(idempotency_key="click")
    sending = [asyncio.create_task(handle.update("add", 1)) for _ in range(3)]
    await until_async(lambda: _has_arrived(handle))
    async with Worker(store, app):
        assert await asyncio.gather(*sending) == [1, 1, 1]
        assert await handle.update("add", 1) == 1
        assert [each.number for each in await client.executions(handle.instance_id)] == [1, 2]


async def _has_arrived(handle: Handle[Any]) -> bool:
    return (await handle.info()).due_at is not None


async def test_nobody_to_send_it_to(store: Backend, client: Client) -> None:
    with pytest.raises(InstanceNotFound):
        await client.handle("nobody").update("pay", 1)
    with pytest.raises(InstanceNotFound):
        await client.handle("nobody").with_options(idempotency_key="1").update("pay", 1)
    handle = await client.start(bank)
    await handle.terminate()
    with pytest.raises(InstanceNotRunning):
        await handle.update(Account.pay, 1)


async def test_an_instance_that_ends_before_it_has_answered(store: Backend, client: Client) -> None:
    waiting = await left_alone(store, client, bank)
    never_begun = asyncio.create_task(waiting.update(Account.pay, 1))
    await until_async(lambda: _has_arrived(waiting))
    await waiting.terminate()
    with pytest.raises(UpdateNotHandled, match=r"ended \(terminated\) before it had handled update 'pay'"):
        await never_begun
    async with Worker(store, app):
        handle = await client.start(hasty)
        running = asyncio.create_task(handle.update("slow"))
        await until_async(lambda: _has_accepted(handle))
        await handle.signal(go_on, 1)
        with pytest.raises(UpdateNotHandled, match=r"ctx\.open_updates"):
            await running


async def _has_accepted(handle: Handle[Any]) -> bool:
    return "UpdateAccepted" in await kinds(handle)


async def test_waiting_for_an_answer_has_an_end(store: Backend, client: Client) -> None:
    """The update goes on."""
    handle = await client.start(bank)
    with pytest.raises(NotAnswered, match=r"update 'pay' of instance .* wasn't answered in 0.3 s; no live worker"):
        await handle.with_options(timeout=0.3, idempotency_key="1").update(Account.pay, 3)
    async with Worker(store, app):
        assert await handle.with_options(idempotency_key="1").update(Account.pay, 3) == 3


# --- what gets lost


def once(kind: type[Any]) -> Callable[[Any], StoreUnavailable | None]:
    """The first update's transition of a kind fails."""
    happened: list[object] = []

    def fail(transition: Any) -> StoreUnavailable | None:
        is_it = isinstance(transition, kind) and (
            kind is AppendEvent or "Update" in str(transition.checkpoint.events) or transition.checkpoint.consumed
        )
        if not is_it or happened:
            return None
        happened.append(transition)
        return StoreUnavailable("simulated")

    return fail


@pytest.mark.parametrize("kind", [AppendEvent, CompleteWorkflowTask])
@pytest.mark.parametrize("when", ["fail", "lose_answer"])
@pytest.mark.parametrize("cents", [5, -5])
async def test_a_lost_transition_changes_nothing(watched: Watched, kind: type[Any], when: str, cents: int) -> None:
    """B4: sent and lost, applied and not written, written and not told: it is handled once, or refused with its reason."""
    async with Client(as_backend(watched), app) as client, Worker(as_backend(watched), app):
        handle = await client.start(bank)
        await handle.update(Account.pay, 1)
        setattr(watched, when, once(kind))
        if cents < 0:
            with pytest.raises(UpdateRefused, match="1 is less than 5"):
                await handle.update(Account.pay, cents)
        else:
            assert await handle.update(Account.pay, cents) == 6
        assert (await kinds(handle)).count("UpdateAccepted") == 1 + (cents > 0)


@pytest.mark.parametrize("cents", [5, -5])
async def test_a_lost_answer_is_found(watched: Watched, cents: int) -> None:
    """An accepted update's is published; a refused one is refused again."""
    async with Client(as_backend(watched), app) as client, Worker(as_backend(watched), app):
        handle = await client.start(bank)
        await handle.update(Account.pay, 1)
        watched.answers_are_lost = True
        updating = asyncio.create_task(handle.update(Account.pay, cents))
        sent = len(watched.of_kind(AppendEvent))
        await until_async(lambda: _is_more(watched, sent))
        await asyncio.sleep(0.1)
        watched.answers_are_lost = False
        if cents < 0:
            with pytest.raises(UpdateRefused, match="1 is less than 5"):
                await updating
        else:
            assert await updating == 6
        assert (await kinds(handle)).count("UpdateAccepted") == 1 + (cents > 0)


async def _is_more(watched: Watched, sent: int) -> bool:
    return len(watched.of_kind(AppendEvent)) > sent


async def test_it_goes_through_the_worker_in_the_same_process(memory: MemoryBackend) -> None:
    async with Orchestrator(memory, app) as perdure:
        handle = await perdure.start(bank)
        assert await handle.update(Account.pay, 5) == 5
        with pytest.raises(UpdateRefused):
            await handle.update(Account.pay, -6)
