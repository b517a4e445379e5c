"""PostgreSQL by URL and keywords: what is passed on, what is refused, what is shown."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from perdure import App, Client, Context, Orchestrator, Worker, connect, workflow
from perdure.backends.connect import migration_script
from perdure.backends.postgres import PostgresOptions
from perdure.backends.postgres.address import Address
from perdure.backends.urls import StoreUrl
from perdure.clock import random_id
from perdure.errors import ConfigurationError, SchemaMismatch, StoreError, StoreUnavailable, StoreUsageError
from tests.stores import service_url

_PASSWORD = "p@ss/w:r?d#[%]&= ü"


@workflow
async def hello(ctx: Context) -> str:
    return "hello"


APP = App(workflows=[hello])


@pytest.fixture
async def schema() -> AsyncIterator[str]:
    url, schema = service_url("postgresql"), f"t{random_id().hex()}"
    yield schema
    connection = await asyncpg.connect(url)
    await connection.execute(f'drop schema if exists "{schema}" cascade')
    await connection.close()


def _parts() -> dict[str, Any]:
    parts = urlsplit(service_url("postgresql"))
    return {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path[1:],
    }


async def _connections(name: str) -> int:
    connection = await asyncpg.connect(service_url("postgresql"))
    try:
        found: int = await connection.fetchval(
            "select count(*) from pg_stat_activity where application_name = $1", name
        )
        return found
    finally:
        await connection.close()


# --- where


async def test_keywords_take_the_place_of_a_url(schema: str) -> None:
    backend = connect("postgresql://", schema=schema, **_parts())
    await backend.open()
    async with Orchestrator(backend, APP) as perdure:
        assert await perdure.run(hello) == "hello"
    await backend.close()


async def test_clients_and_workers_of_one_url_share_four_connections(schema: str) -> None:
    name = f"perdure-{random_id().hex()}"
    url = f"{service_url('postgresql')}?schema={schema}&application_name={name}"
    async with Client(url) as client, Worker(url, APP), Orchestrator(url, APP), Client(url):
        await client.run(hello)
        await client.info(await _first_id(client))
        assert await _connections(name) <= 4
        await asyncio.to_thread(asyncio.run, _use(url))
        assert await _connections(name) <= 4
    while await _connections(name):  # the listener ends a moment later
        await asyncio.sleep(0.05)


async def _first_id(client: Client) -> str:
    async for instance in client.list():
        return instance.instance_id
    raise AssertionError


async def _use(url: str) -> None:
    """From another event loop."""
    async with Client(url) as client:
        await client.start(hello)


async def test_twins_share_as_well(schema: str) -> None:
    name = f"perdure-{random_id().hex()}"
    backend = connect(service_url("postgresql"), schema=schema, application_name=name)
    twin = backend.twin()
    await backend.open()
    await twin.open()
    assert twin.url == backend.url
    assert await twin.count_instances() == {}
    assert await _connections(name) <= 3
    await backend.close()
    assert await twin.count_instances() == {}
    await twin.close()


@pytest.mark.parametrize(
    ("url", "keywords", "shown"),
    [
        ("postgres://me:pw@Host/db", {}, "postgresql://host:5432/db"),
        ("postgresql://me:pw@host:5432/db?sslmode=require&schema=app", {}, "postgresql://host:5432/db?schema=app"),
        ("postgresql://me@one:1,two:2/db", {}, "postgresql://one:1,two:2/db"),
        ("postgresql://[::1]/db", {}, "postgresql://[::1]:5432/db"),
        ("postgresql://other:1/old", {"host": "h", "database": "db"}, "postgresql://h:5432/db"),
        ("postgresql:///db?host=/run/postgresql", {}, "postgresql://%2Frun%2Fpostgresql:5432/db"),
        ("postgresql://me@host", {}, "postgresql://host:5432/me"),
        ("postgresql://?service=orders", {"schema": "app"}, "postgresql:///?service=orders&schema=app"),
    ],
)
def test_the_url_of_a_store_is_without_user_and_password(url: str, keywords: dict[str, Any], shown: str) -> None:
    assert connect(url, **keywords).url == shown


def test_what_is_not_said_comes_from_where_libpq_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOST": "db", "PGPORT": "5433", "PGDATABASE": "orders"}.items():
        monkeypatch.setenv(name, value)
    assert connect("postgresql://").url == "postgresql://db:5433/orders"


# --- what is refused


@pytest.mark.parametrize(
    ("url", "keywords", "says"),
    [
        ("postgresql://host/db?shema=app", {}, "no option shema; there are schema, .*for the connection host"),
        ("postgresql://host/db", {"pasword": "x"}, "no option pasword"),
        ("postgresql://host/db?schema=a;b", {}, "schema is 'a;b'; it can be|schema is 'a;b': it can have"),
        ("postgresql://host/db", {"schema": "x" * 56}, "up to 55 bytes"),
        ("postgresql://host/db?migrate=perhaps", {}, "true or false"),
        ("postgresql://host/db?timeout_seconds=-1", {}, "seconds over 0"),
        ("postgresql://host/db?sslmode=on", {}, "sslmode is 'on'; it can be disable"),
        ("postgresql://host/db?sslrootcert=/no/such.pem", {}, "there is no such file"),
        ("postgresql://host:99999/db", {}, "99999 is no port"),
        ("postgresql://host/db", {"port": "five"}, "port must be a number"),
        ("postgresql://one,two,three/db?port=1,2", {}, "3 hosts and 2 ports"),
    ],
)
def test_a_wrong_option_says_what_is_right(url: str, keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        connect(url, **keywords)


@pytest.mark.parametrize("wrong", ["password", "database", "port"])
async def test_errors_of_connecting_have_no_password(wrong: str, schema: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hunter-zwei"
    keywords = {**_parts(), "schema": schema, "password": secret}
    if wrong == "database":
        keywords |= {"database": "no-such-database", "password": _parts()["password"]}
        secret = f":{_parts()['password']}@"
    if wrong == "port":
        keywords |= {"port": 1}
    backend = connect("postgresql://", **keywords)
    with pytest.raises(StoreError) as caught:
        await backend.open()
    texts = [
        str(caught.value),
        repr(caught.value),
        str(caught.value.__cause__),
        repr(backend),
        backend.url,
        caplog.text,
    ]
    assert not [text for text in texts if secret in text]
    assert isinstance(caught.value, StoreUnavailable if wrong == "port" else StoreUsageError)


def test_reprs_have_no_password() -> None:
    url = StoreUrl(f"postgresql://me:{quote('hunter-zwei', safe='')}@host/db")
    address = Address(url, {}, PostgresOptions())
    assert "hunter" not in f"{url!r} {address!r} {connect('postgresql://host', password='hunter')!r}"


# --- schemas by hand


async def test_psql_takes_the_script_and_code_without_the_right_to_migrate_opens_it(schema: str) -> None:
    url = f"{service_url('postgresql')}?schema={schema}"
    done = subprocess.run(
        ["psql", service_url("postgresql"), "-v", "ON_ERROR_STOP=1", "-q"],
        input=migration_script(url),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    backend = connect(url, migrate=False)
    await backend.open()
    async with Orchestrator(backend, APP) as perdure:
        assert await perdure.run(hello) == "hello"
    await backend.close()


async def test_a_schema_that_is_missing_is_refused_with_the_command_that_prints_it(schema: str) -> None:
    backend = connect(f"{service_url('postgresql')}?schema={schema}&migrate=false")
    with pytest.raises(SchemaMismatch, match=r"has no perdure schema yet.*`perdure migrate --sql` prints"):
        await backend.open()
