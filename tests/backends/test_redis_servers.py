"""What is asked of a Redis when a store is opened there: each test with a server of its own."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from perdure.backends.redis import RedisBackend, RedisOptions
from perdure.backends.redis.connecting import source_of_client
from perdure.errors import ConfigurationError, SchemaMismatch, StoreUsageError
from perdure.testing.conformance import builders
from scripts.servers import SERVERS, Unavailable

Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server with these settings, reached by a socket in a file; gives its URL."""
    try:
        executable = SERVERS["redis"].find()
    except Unavailable as reason:
        pytest.skip(str(reason))
    running: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> str:
        path = tmp_path / "redis.sock"
        given = {"port": "0", "unixsocket": str(path), "dir": str(tmp_path), "save": "", **settings}
        options: list[str] = []
        for name, value in given.items():
            options += (f"--{name.replace('_', '-')}", *(value.split() or ("",)))
        running.append(subprocess.Popen([executable, *options], stdout=subprocess.DEVNULL))
        _wait_for(path)
        return f"unix://{path}"

    yield start
    for server in running:
        server.kill()
        server.wait()


def _wait_for(path: Path) -> None:
    for _ in range(1_000):
        with socket.socket(socket.AF_UNIX) as asking:
            if asking.connect_ex(str(path)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("the server didn't start")


async def _open(url: str, **options: str) -> None:
    taken = RedisOptions(**options)  # type: ignore[arg-type]
    backend = RedisBackend(source_of_client(Redis.from_url(url), taken), taken)
    await backend.open()
    await backend.commit(builders.create("order-1"))
    await backend.close()


async def test_one_that_evicts_is_refused(start: Start) -> None:
    url = start(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    with pytest.raises(ConfigurationError, match=r"maxmemory-policy allkeys-lru.*Set maxmemory-policy noeviction"):
        await _open(url)


@pytest.mark.parametrize("settings", [{"maxmemory": "100mb"}, {"maxmemory_policy": "allkeys-lru"}])
async def test_one_that_is_full_some_day_or_never_is_taken(start: Start, settings: dict[str, str]) -> None:
    await _open(start(appendonly="yes", appendfsync="always", **settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"appendonly": "no"}, "since the last snapshot is lost"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "in the last second may be lost"),
        ({"appendonly": "yes", "appendfsync": "no"}, "in the last half minute"),
    ],
)
async def test_what_can_be_lost_is_said(
    start: Start, settings: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="perdure.store"):
        await _open(start(**settings))
    assert [record for record in caplog.records if said in record.getMessage()]


async def test_nothing_is_said_of_one_that_loses_nothing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="perdure.store"):
        await _open(start(appendonly="yes", appendfsync="always"))
    assert not caplog.records


async def test_one_that_hides_its_settings_is_judged_by_what_it_shows(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """As managed ones do."""
    url = start(maxmemory="100mb", maxmemory_policy="allkeys-lru", rename_command="CONFIG hidden")
    with pytest.raises(ConfigurationError, match="allkeys-lru"):
        await _open(url)


async def test_a_user_that_may_not_write_all_is_refused_before_anything_is_half_written(start: Start) -> None:
    url = start()
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "half", "on", ">secret", "~*", "&*", "+@all", "-zrem")
    with pytest.raises(StoreUsageError, match="ACL needs"):
        await _open(url.replace("unix://", "unix://half:secret@"))


async def test_a_wrong_password_is_told(start: Start) -> None:
    with pytest.raises(StoreUsageError, match="doesn't let this user in"):
        await _open(start(requirepass="secret").replace("unix://", "unix://:wrong@"))


async def test_without_migrate_no_store_is_made(start: Start) -> None:
    url = start()
    with pytest.raises(SchemaMismatch, match="no perdure store yet"):
        await _open(url, migrate=False)  # type: ignore[arg-type]
    with Redis.from_url(url) as client:
        assert client.dbsize() == 0


async def test_a_store_of_newer_code_is_refused(start: Start) -> None:
    url = start()
    await _open(url)
    with Redis.from_url(url) as client:
        client.hset("{perdure:0}:header", mapping={"version": 7, "oldest_code": 5})
    with pytest.raises(SchemaMismatch, match=r"has version 7 and serves code from version 5 on.*upgrade perdure"):
        await _open(url)


async def test_two_prefixes_are_two_stores(start: Start) -> None:
    url = start()
    await _open(url, prefix="shop")
    await _open(url, prefix="bank")
    with Redis.from_url(url) as client:
        assert client.hlen("{shop:0}:ids") == client.hlen("{bank:0}:ids") == 1
