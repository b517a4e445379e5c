"""Notices between processes, on MySQL and on MariaDB."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Iterator

import pytest

from perdure.backends.mysql import MysqlBackend, MysqlOptions
from perdure.backends.mysql.notices import MysqlHerald, MysqlListener
from tests.backends.mysql_helpers import SERVERS, address_of, drop_tables, fetch, new_prefix, server
from tests.stores import service_url


class Listening:
    """A listener in a thread, as if it were another process."""

    def __init__(self, url: str, options: MysqlOptions) -> None:
        self.told: queue.Queue[bytes | None] = queue.Queue()
        self.listener = MysqlListener(address_of(url), options)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.listener.listen, args=(self.told.put, self.is_over), daemon=True)
        self.thread.start()
        assert self.next() is None  # it listens

    def next(self) -> bytes | None:
        return self.told.get(timeout=5)

    def end(self) -> None:
        self.is_over.set()
        self.thread.join()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    return service_url(request.param)


@pytest.fixture
def options(url: str) -> Iterator[MysqlOptions]:
    options = MysqlOptions(prefix=new_prefix(), notices=False)
    asyncio.run(_make(url, options))
    yield options
    asyncio.run(_drop(url, options.prefix))


async def _make(url: str, options: MysqlOptions) -> None:
    backend = MysqlBackend(url, options)
    await backend.open()
    await backend.close()


async def _drop(url: str, prefix: str) -> None:
    async with server(url) as cursor:
        await drop_tables(cursor, prefix)


async def _count(url: str, options: MysqlOptions) -> int:
    async with server(url) as cursor:
        ((count,),) = await fetch(cursor, f"select count(*) from {options.prefix}notices")
        return int(count)


def test_every_listener_hears_each_notice_once_and_in_order(url: str, options: MysqlOptions) -> None:
    listeners = [Listening(url, options), Listening(url, options)]
    herald = MysqlHerald(address_of(url), url, options, MysqlListener(address_of(url), options))
    herald.open()
    for number in range(50):
        herald.notify(b"\0'%d" % number)
    herald.close()
    for listening in listeners:
        assert [listening.next() for _ in range(50)] == [b"\0'%d" % number for number in range(50)]
        listening.end()
        assert listening.told.empty()


def test_old_notices_go_and_the_first_ones_of_a_store_do_no_harm(url: str, options: MysqlOptions) -> None:
    listening = Listening(url, options)
    herald = MysqlHerald(address_of(url), url, options, MysqlListener(address_of(url), options))
    herald.open()
    for _ in range(6 * 256):
        herald.notify(b"notice")
    assert asyncio.run(_count(url, options)) <= 1_000 + 1
    herald.close()
    listening.end()


def test_while_nobody_else_listens_nothing_is_written(url: str, options: MysqlOptions) -> None:
    own = Listening(url, options)
    herald = MysqlHerald(address_of(url), url, options, own.listener)
    herald.open()
    herald.notify(b"to nobody")
    assert asyncio.run(_count(url, options)) == 0
    other = Listening(url, options)
    herald.notify(b"to the other one")
    assert other.next() == b"to the other one"
    herald.close()
    own.end()
    other.end()


def test_a_listener_that_ends_leaves_no_statement_behind(url: str, options: MysqlOptions) -> None:
    listening = Listening(url, options)
    number = listening.listener.connection_id
    listening.end()
    for _ in range(200):  # the server notices a moment later
        if number not in asyncio.run(_connections(url)):
            return
        time.sleep(0.05)
    raise AssertionError("the sleeping connection is still there")


async def _connections(url: str) -> set[int]:
    async with server(url) as cursor:
        found = await fetch(cursor, "select id from information_schema.processlist where info like 'select sleep%'")
        return {number for (number,) in found}
