"""Redis by URL, keywords and clients of the user's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.cluster import RedisCluster

from perdure import App, Context, Orchestrator, connect, workflow
from perdure.backends.connect import migration_script
from perdure.backends.network.link import Conflict
from perdure.backends.redis.tables import RedisTables
from perdure.clock import random_id
from perdure.errors import ConfigurationError, StoreError
from tests.backends.redis_helpers import client_of, opened
from tests.stores import service_url


@workflow
async def hello(ctx: Context) -> str:
    return "hello"


APP = App(workflows=[hello])


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    prefix = f"test-{random_id().hex()}"
    yield prefix
    for server in ("redis", "redis-cluster"):
        client = client_of(service_url(server))
        for key in list(client.scan_iter(match=f"{{{prefix}*", count=1000)):
            client.delete(key)
        client.close()


async def _works(backend: Any) -> bool:
    await backend.open()
    async with Orchestrator(backend, APP) as perdure:
        result = await perdure.run(hello)
    await backend.close()
    return result == "hello"


@pytest.mark.parametrize("server", ["redis", "redis-cluster"])
async def test_a_url_with_options_of_the_store_and_of_the_connection(server: str, prefix: str) -> None:
    backend = connect(f"{service_url(server)}?prefix={prefix}&client_name=perdure&timeout_seconds=5")
    assert backend.url.endswith(f"?prefix={prefix}")
    assert await _works(backend)


async def test_a_client_is_used_as_it_connects_whatever_else_it_does_and_stays_open(prefix: str) -> None:
    client = redis.Redis.from_url(service_url("redis"), decode_responses=True, protocol=3)
    assert await _works(connect("redis://", client=client, prefix=prefix))
    assert client.ping()
    client.close()


async def test_an_asyncio_client_does_as_well(prefix: str) -> None:
    async with redis.asyncio.Redis.from_url(service_url("redis")) as client:
        assert await _works(connect("redis://", client=client, prefix=prefix))
        assert await client.ping()


async def test_a_client_of_a_cluster(prefix: str) -> None:
    plain = service_url("redis-cluster").replace("+cluster", "")
    with RedisCluster.from_url(plain) as client:
        assert await _works(connect("redis+cluster://", client=client, prefix=prefix))
        assert client.ping()
    async with redis.asyncio.RedisCluster.from_url(plain) as other:
        assert await _works(connect("redis+cluster://", client=other, prefix=prefix))


async def test_a_client_and_a_url_of_one_server_are_one_store(prefix: str) -> None:
    with redis.Redis.from_url(service_url("redis")) as client:
        url = service_url("redis")
        assert connect("redis://", client=client, prefix=prefix).url == connect(url, prefix=prefix).url


@pytest.mark.parametrize(
    ("url", "keywords", "shown"),
    [
        ("redis://:pw@Host", {}, "redis://host:6379/0"),
        ("rediss://me:pw@host:1/2?prefix=app", {}, "rediss://host:1/2?prefix=app"),
        ("redis://", {"host": "h", "password": "p@ss", "database": 3}, "redis://h:6379/3"),
        ("redis+cluster://host:7000", {}, "redis+cluster://host:7000"),
        ("rediss+cluster://host", {"prefix": "app"}, "rediss+cluster://host:6379?prefix=app"),
    ],
)
def test_the_url_of_a_store_is_without_secrets(url: str, keywords: dict[str, Any], shown: str) -> None:
    assert connect(url, **keywords).url == shown


@pytest.mark.parametrize(
    ("url", "keywords", "says"),
    [
        ("redis://host/zero", {}, "a database of Redis is a number"),
        ("redis+cluster://host/1", {}, "no databases but 0"),
        ("redis+cluster://one,two", {}, "one host is enough"),
        ("redis://host?prefx=a", {}, "no option prefx; there are prefix"),
        ("redis://host?decode_responses=true", {}, "no option decode_responses"),
        ("redis://host", {"prefix": "a{b}"}, "no spaces, braces"),
        ("redis://host?ssl_ca_certs=/etc/hosts", {}, "is about TLS, which needs rediss://"),
        ("rediss://host?ssl_ca_certs=/no/such.pem", {}, "there is no such file"),
        ("rediss://host?ssl_cert_reqs=maybe", {}, "ssl_cert_reqs can be required"),
        ("redis://", {"client": object()}, "takes a client of redis-py"),
        ("redis://host", {"client": redis.Redis()}, "a client knows where to connect to"),
    ],
)
def test_a_wrong_option_says_what_is_right(url: str, keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        connect(url, **keywords)


def test_redis_has_no_sql() -> None:
    with pytest.raises(ConfigurationError, match="no schema"):
        migration_script("redis://host")


async def test_a_password_that_is_wrong_is_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    backend = connect(service_url("redis"), user="nobody", password="hunter-zwei")
    with pytest.raises(StoreError) as caught:
        await backend.open()
    assert "hunter" not in f"{caught.value!r} {caught.value.__cause__!r} {backend!r} {backend.url} {caplog.text}"


async def test_a_store_is_opened_though_others_change_its_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []
    plain = RedisTables.send

    def send(tables: RedisTables) -> None:
        tries.append(tables)
        if len(tries) in {1, 3, 4}:
            raise Conflict("others have changed the generation meanwhile")
        plain(tables)

    monkeypatch.setattr(RedisTables, "send", send)
    async with opened("redis") as store:
        await store.create("order-1")
    assert len(tries) > 5
