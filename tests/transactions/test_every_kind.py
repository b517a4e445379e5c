"""What `using` promises, on every kind of connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from perdure.client.client import Client
from perdure.errors import InstanceAlreadyExists, InstanceNotFound
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.transactions.conftest import database_of
from tests.transactions.kinds import ALL, KINDS, Begin, Database, Transaction
from tests.transactions.shop import app, approval, checkout, hello


@dataclass
class Shop:
    """A database, a client of the store in it, and a kind of connection to it."""

    database: Database
    client: Client
    begin: Begin

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self.begin(self.database) as transaction:
            yield transaction

    async def insert(self, transaction: Transaction, order: str) -> None:
        await transaction.execute(f"insert into {self.database.orders} values ('{order}')")

    async def has_order(self, order: str) -> bool:
        """Whether it can be inserted: a committed one is in the way."""
        async with self.transaction() as transaction:
            try:
                await self.insert(transaction, order)
            except Exception:
                return True
            finally:
                await transaction.roll_back()
            return False

    async def has_instance(self, instance_id: str) -> bool:
        try:
            await self.client.info(instance_id)
        except InstanceNotFound:
            return False
        return True


@pytest.fixture(params=ALL, ids=" ".join)
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    scheme, kind = request.param
    async with database_of(scheme, tmp_path) as database:
        backend = database.backend()
        await backend.open()
        try:
            async with Client(backend, app) as client:
                yield Shop(database, client, KINDS[scheme][kind])
        finally:
            await backend.close()


async def test_order_and_workflow_are_there_after_the_commit_and_not_before(shop: Shop) -> None:
    async with shop.transaction() as transaction:
        await shop.insert(transaction, "7")
        handle = await shop.client.using(transaction.connection).start(hello.with_options(instance_id="7"), "world")
        assert not await shop.has_instance("7")
        await transaction.commit()

    assert await shop.has_order("7")
    async with Orchestrator(shop.client.backend, app):
        assert await handle.result(timeout=20) == "hello world"


async def test_a_transaction_may_begin_with_the_start(shop: Shop) -> None:
    async with shop.transaction() as transaction:
        await shop.client.using(transaction.connection).start(hello.with_options(instance_id="7"), "world")
        await shop.insert(transaction, "7")
        assert not await shop.has_instance("7")
        await transaction.commit()

    assert await shop.has_order("7")
    assert await shop.has_instance("7")


async def test_order_and_workflow_vanish_together(shop: Shop) -> None:
    async with shop.transaction() as transaction:
        await shop.insert(transaction, "7")
        await shop.client.using(transaction.connection).start(hello.with_options(instance_id="7"), "world")
        await transaction.roll_back()

    assert not await shop.has_order("7")
    assert not await shop.has_instance("7")


async def test_a_taken_id_is_told_and_the_transaction_goes_on(shop: Shop) -> None:
    await shop.client.start(hello.with_options(instance_id="taken"), "world")

    async with shop.transaction() as transaction:
        await shop.insert(transaction, "7")
        inside = shop.client.using(transaction.connection)
        with pytest.raises(InstanceAlreadyExists, match="taken"):
            await inside.start(hello.with_options(instance_id="taken"), "you")
        await shop.insert(transaction, "8")
        await inside.start(hello.with_options(instance_id="8"), "you")
        await transaction.commit()

    assert await shop.has_order("7")
    assert await shop.has_order("8")
    assert await shop.has_instance("8")


async def test_what_was_started_in_the_same_transaction_can_be_signalled_and_its_id_is_taken(shop: Shop) -> None:
    async with shop.transaction() as transaction:
        inside = shop.client.using(transaction.connection)
        handle = await inside.start(checkout.with_options(instance_id="7", start_signal=approval("ann")), 2)
        await inside.signal("7", approval, "bob")
        with pytest.raises(InstanceAlreadyExists):
            await inside.start(checkout.with_options(instance_id="7"), 2)
        await transaction.commit()

    async with Orchestrator(shop.client.backend, app):
        assert await handle.result(timeout=20) == ["ann", "bob"]


async def test_a_signal_arrives_with_the_commit_and_one_that_was_rolled_back_never_does(shop: Shop) -> None:
    handle = await shop.client.start(checkout, 2)

    for order, is_kept in (("ann", True), ("bob", False), ("cem", True)):
        async with shop.transaction() as transaction:
            await shop.insert(transaction, order)
            await shop.client.using(transaction.connection).signal(handle.instance_id, approval, order)
            await (transaction.commit() if is_kept else transaction.roll_back())

    async with Orchestrator(shop.client.backend, app):
        assert await handle.result(timeout=20) == ["ann", "cem"]


async def test_an_ended_instance_makes_way_for_a_restart(shop: Shop) -> None:
    again = hello.with_options(instance_id="7", if_exists="restart")
    async with Orchestrator(shop.client.backend, app) as worker:
        assert await worker.run(again, "world") == "hello world"

    async with shop.transaction() as transaction:
        await shop.client.using(transaction.connection).start(again, "moon")
        await transaction.roll_back()
    assert await shop.client.result("7", hello) == "hello world"

    async with shop.transaction() as transaction:
        await shop.client.using(transaction.connection).start(again, "moon")
        await transaction.commit()
    assert await shop.client.state("7") is State.RUNNING


async def test_nobody_is_told_and_the_transaction_goes_on(shop: Shop) -> None:
    async with shop.transaction() as transaction:
        await shop.insert(transaction, "7")
        with pytest.raises(InstanceNotFound):
            await shop.client.using(transaction.connection).signal("nobody", approval, "ann")
        await transaction.commit()

    assert await shop.has_order("7")


async def test_a_repeated_key_is_one_start_and_one_signal(shop: Shop) -> None:
    async with shop.transaction() as transaction:
        inside = shop.client.using(transaction.connection)
        first = await inside.start(checkout.with_options(idempotency_key="request-1"), 2)
        second = await inside.start(checkout.with_options(idempotency_key="request-1"), 2)
        for value in ("ann", "eve"):
            await inside.signal(first.instance_id, approval, value, idempotency_key="click-1")
        await inside.signal(first.instance_id, approval, "bob")
        await transaction.commit()

    assert first.instance_id == second.instance_id
    async with Orchestrator(shop.client.backend, app):
        assert await first.result(timeout=20) == ["ann", "bob"]
