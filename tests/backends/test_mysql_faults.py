"""What MySQL, MariaDB and other programs can do to a store, and what its callers are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncmy import errors

from perdure.backends.mysql import MysqlBackend, MysqlOptions, faults
from perdure.backends.mysql.judging import risks
from perdure.backends.mysql.link import MysqlLink
from perdure.backends.network.writer import Writer
from perdure.errors import (
    ConfigurationError,
    SchemaMismatch,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StoreUsageError,
)
from perdure.model.transition import Created, Existing
from perdure.testing.conformance import builders
from tests.backends.mysql_helpers import SERVERS, address_of, drop_tables, fetch, new_prefix, server
from tests.stores import service_url


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    return service_url(request.param)


@pytest.fixture
def prefix(url: str) -> Iterator[str]:
    name = new_prefix()
    yield name
    asyncio.run(_drop(url, name))


async def _drop(url: str, prefix: str) -> None:
    async with server(url) as cursor:
        await drop_tables(cursor, prefix)


@asynccontextmanager
async def opened(url: str, prefix: str, **options: Any) -> AsyncGenerator[MysqlBackend]:
    backend = MysqlBackend(url, MysqlOptions(prefix=prefix, **options))
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()


async def test_two_that_open_an_empty_database_at_once_dont_collide(url: str, prefix: str) -> None:
    # Handles of different options share no connections: they are like two processes.
    async with asyncio.TaskGroup() as group:
        for seconds in (30, 31):
            group.create_task(_create_one(url, prefix, f"order-{seconds}", timeout_seconds=seconds))
    async with opened(url, prefix) as backend:
        assert sum((await backend.count_instances()).values()) == 2


async def _create_one(url: str, prefix: str, instance_id: str, **options: Any) -> None:
    async with opened(url, prefix, **options) as backend:
        await backend.commit(builders.create(instance_id))


async def test_a_migration_that_was_cut_off_is_carried_on(url: str, prefix: str) -> None:
    async with opened(url, prefix):
        pass
    async with server(url) as cursor:
        await cursor.execute(f"delete from {prefix}schema")
        await cursor.execute(f"drop table {prefix}seal, {prefix}notices")
    await _create_one(url, prefix, "order-1")


async def test_without_migrate_an_empty_database_is_refused(url: str, prefix: str) -> None:
    with pytest.raises(SchemaMismatch, match="has no perdure schema yet"):
        async with opened(url, prefix, migrate=False):
            pass


async def test_of_two_hundred_creates_of_one_id_one_wins(url: str, prefix: str) -> None:
    async with opened(url, prefix) as one, opened(url, prefix, timeout_seconds=31) as other:
        outcomes = await asyncio.gather(
            *((one, other)[number % 2].commit(builders.create("order-1")) for number in range(200))
        )
    assert sum(isinstance(outcome, Created) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Existing) for outcome in outcomes) == 199


async def test_a_payload_over_the_packets_size_harms_nobody_else(url: str, prefix: str) -> None:
    async with server(url) as cursor:
        ((largest,),) = await fetch(cursor, "select @@max_allowed_packet")
    size = 20_000_000
    async with opened(url, prefix) as backend:
        created = await backend.commit(builders.create("order-with-blob"))
        assert isinstance(created, Created)
        large, *others = await asyncio.gather(
            backend.put_blob(created.instance_key, b"0" * 16, b"x" * size),
            *(backend.commit(builders.create(f"order-{number}")) for number in range(20)),
            return_exceptions=True,
        )
        assert isinstance(large, StoreError) == (size > largest)
        assert all(isinstance(outcome, Created) for outcome in others)


async def test_a_text_with_nul_comes_back_as_it_is(url: str, prefix: str) -> None:
    async with opened(url, prefix) as backend:
        await backend.commit(builders.create("order-1", tags={"a": "b\0c", "d'\\%s": '"\n?'}))
        assert (await backend.read_instance("order-1")).tags == {"a": "b\0c", "d'\\%s": '"\n?'}


async def test_an_instance_that_a_stranger_has_locked_harms_nobody_else(url: str, prefix: str) -> None:
    async with opened(url, prefix) as backend, server(url) as stranger:
        for number in range(10):
            await backend.commit(builders.create(f"order-{number}"))
        await stranger.execute("begin")
        await fetch(stranger, f"select * from {prefix}instances where instance_id = 'order-3' for update")
        outcomes = await asyncio.gather(
            *(backend.commit(builders.append_signal(f"order-{number}")) for number in range(10)), return_exceptions=True
        )
        await stranger.execute("rollback")
        assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, StoreUnavailable)] == [3]
        assert "locked" in str(outcomes[3])
        await backend.commit(builders.append_signal("order-3"))


async def test_a_connection_that_was_killed_is_opened_again(url: str, prefix: str) -> None:
    async with opened(url, prefix) as backend, server(url) as stranger:
        await backend.commit(builders.create("order-1"))
        await stranger.execute(f"kill {_writing_connection(backend)}")
        with pytest.raises(StoreUnavailable):
            await backend.commit(builders.create("order-2"))
        while True:
            try:
                await backend.commit(builders.create("order-3"))
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)


def _writing_connection(backend: MysqlBackend) -> int:
    writer = backend._opened.writer
    assert isinstance(writer, Writer)
    link = writer._link
    assert isinstance(link, MysqlLink)
    number: int = link.session.connection.thread_id()
    return number


async def test_a_wrong_password_and_a_missing_database_are_said(url: str, prefix: str) -> None:
    right = address_of(url)
    for wrong, said in (({"password": "no"}, "check user"), ({"database": "no_such"}, "database")):
        backend = MysqlBackend({**right, **wrong}, MysqlOptions(prefix=prefix))
        with pytest.raises(StoreUsageError, match=said):
            await backend.open()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1045, StoreUsageError),
        (1049, StoreUsageError),
        (1142, StoreUsageError),
        (1290, StoreReadOnly),
        (1114, StoreFull),
        (2013, StoreUnavailable),
        (1053, StoreUnavailable),
        (1366, StoreError),
    ],
)
def test_each_kind_of_error_has_its_class(number: int, expected: type[StoreError]) -> None:
    problem = errors.OperationalError(number, "said")
    found = faults.translated(problem, "mysql://there")
    assert type(found) is expected
    assert found.__cause__ is problem


def test_conflicts_and_locks_are_told_apart() -> None:
    assert faults.is_conflict(errors.OperationalError(1213, "dead-lock"))
    assert faults.is_conflict(errors.IntegrityError(1062, "duplicate"))
    assert not faults.is_conflict(errors.OperationalError(1205, "lock wait"))
    assert faults.is_locked(errors.OperationalError(1205, "lock wait"))
    assert not faults.is_lost(errors.OperationalError(1205, "lock wait"))


def test_settings_that_may_lose_something_are_named() -> None:
    fine = {
        "innodb_flush_log_at_trx_commit": "1",
        "innodb_doublewrite": "ON",
        "log_bin": "ON",
        "sync_binlog": "1",
        "max_allowed_packet": "16777216",
    }
    assert risks(fine) == []
    for name, value in {
        "innodb_flush_log_at_trx_commit": "2",
        "innodb_doublewrite": "OFF",
        "sync_binlog": "0",
        "max_allowed_packet": "1048576",
    }.items():
        (risk,) = risks({**fine, name: value})
        assert name in risk
    assert risks({**fine, "log_bin": "OFF", "sync_binlog": "0"}) == []


@pytest.mark.parametrize("prefix", ["", "a b", "x" * 33, "a`; drop table b"])
def test_a_prefix_that_is_no_name_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError):
        MysqlOptions(prefix=prefix)
