"""MySQL and MariaDB by URL, keywords and pools of the user's own."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncmy
import pytest

from perdure import App, Context, Orchestrator, connect, workflow
from perdure.backends.connect import migration_script
from perdure.errors import ConfigurationError, SchemaMismatch, StoreError
from tests.backends.mysql_helpers import SERVERS, drop_tables, new_prefix, server
from tests.stores import service_url


@workflow
async def hello(ctx: Context) -> str:
    return "hello"


APP = App(workflows=[hello])


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    return service_url(request.param)


@pytest.fixture
async def prefix(url: str) -> AsyncIterator[str]:
    prefix = new_prefix()
    yield prefix
    async with server(url) as cursor:
        await drop_tables(cursor, prefix)


def _parts(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path[1:],
    }


async def _works(backend: Any) -> bool:
    await backend.open()
    async with Orchestrator(backend, APP) as perdure:
        result = await perdure.run(hello)
    await backend.close()
    return result == "hello"


async def test_keywords_take_the_place_of_a_url(url: str, prefix: str) -> None:
    backend = connect(f"{urlsplit(url).scheme}://", prefix=prefix, **_parts(url))
    assert backend.url == connect(url, prefix=prefix).url
    assert await _works(backend)


async def test_a_pool_is_used_as_it_connects_and_stays_open(url: str, prefix: str) -> None:
    async with asyncmy.create_pool(minsize=0, maxsize=1, **_parts(url)) as pool:
        backend = connect(f"{urlsplit(url).scheme}://", pool=pool, prefix=prefix)
        assert backend.url == connect(url, prefix=prefix).url
        assert await _works(backend)
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("select 1")
            assert await cursor.fetchone() == (1,)


async def test_the_client_takes_the_script_and_code_without_the_right_to_migrate_opens_it(
    url: str, prefix: str
) -> None:
    place = _parts(url)
    with pytest.raises(SchemaMismatch, match="`perdure migrate --sql` prints"):
        await connect(url, prefix=prefix, migrate=False).open()
    done = subprocess.run(
        [
            "mariadb", "--skip-ssl", f"--host={place['host']}", f"--port={place['port']}", f"--user={place['user']}",
            f"--password={place['password']}", place["database"],
        ],
        input=migration_script(f"{url}?prefix={prefix}"),
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert await _works(connect(url, prefix=prefix, migrate=False))


async def test_a_migration_that_was_broken_off_is_repeated(url: str, prefix: str) -> None:
    """B10: these servers commit each statement by itself; a step is recorded when all of it is there."""
    assert await _works(connect(url, prefix=prefix))
    async with server(url) as cursor:
        await cursor.execute(f"delete from {prefix}schema where version > 1")
    assert await _works(connect(url, prefix=prefix))


async def test_a_password_that_is_wrong_is_in_no_message(url: str, caplog: pytest.LogCaptureFixture) -> None:
    backend = connect(url, password="hunter-zwei")
    with pytest.raises(StoreError) as caught:
        await backend.open()
    assert "hunter" not in f"{caught.value!r} {caught.value.__cause__!r} {backend!r} {backend.url} {caplog.text}"


@pytest.mark.parametrize(
    ("url", "keywords", "says"),
    [
        ("mysql://host", {}, "it names no database"),
        ("mysql://one,two/db", {}, "the driver takes one host"),
        ("mysql://host/db?charset=latin1", {}, "no option charset; there are prefix"),
        ("mysql://host/db?ssl-mode=maybe", {}, "ssl_mode is 'maybe'; it can be disabled"),
        ("mariadb://host/db?ssl_ca=/no/such.pem", {}, "there is no such file"),
        ("mysql://host/db", {"pool": object()}, "a pool knows where to connect to"),
        ("mysql://", {"pool": object()}, "takes an asyncmy.Pool"),
    ],
)
def test_a_wrong_option_says_what_is_right(url: str, keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        connect(url, **keywords)
