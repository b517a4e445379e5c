"""PostgreSQL behind PgBouncer in transaction mode: each transaction goes over whichever of its connections is free."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from perdure.backends.connect import connect
from perdure.backends.postgres import PostgresBackend, PostgresOptions
from perdure.model.instance import State
from perdure.model.transition import Created
from perdure.testing.conformance import ManualClock, StoreUnderTest, builders
from perdure.testing.conformance.batching import Batching, Poison
from perdure.testing.conformance.claiming import Claiming
from perdure.testing.conformance.handing_back import LimitingQueues
from perdure.testing.conformance.inspecting import Listing
from perdure.testing.conformance.lapsing import Lapsing
from perdure.testing.conformance.moving import Moving, Sealing
from scripts.servers import free_ports
from tests.stores import service_url

pytestmark = pytest.mark.server

_SETTINGS = """
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the server, through PgBouncer."""
    server = urlsplit(service_url("postgresql"))
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("there is no pgbouncer here (Debian: apt-get install pgbouncer)")
    (own,) = free_ports(1)
    settings = tmp_path_factory.mktemp("pgbouncer") / "pgbouncer.ini"
    settings.write_text(
        _SETTINGS.format(
            host=server.hostname, port=server.port, user=server.username, password=server.password, own=own
        )
    )
    command = [program, "-q", *(["-u", "nobody"] if os.getuid() == 0 else []), str(settings)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        url = server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{own}").geturl()
        try:
            asyncio.run(_until_ready(url))
            yield url
        finally:
            process.terminate()


async def _until_ready(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            await (await asyncpg.connect(url, statement_cache_size=0)).close()
        except OSError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return


@pytest.fixture
def pooled_store_url(pooled: str, postgresql_schema: str) -> str:
    return f"{pooled}?schema={postgresql_schema}&pgbouncer=true"


class TestBehindPgbouncer(Batching, Poison, Claiming, LimitingQueues, Listing, Lapsing, Moving, Sealing):
    @pytest.fixture
    async def store(self, pooled_store_url: str) -> AsyncIterator[StoreUnderTest]:
        url, _, schema = pooled_store_url.partition("?schema=")
        options = PostgresOptions(schema=schema.partition("&")[0], pgbouncer=True)
        clock = ManualClock()
        backend = PostgresBackend(url, options, clock=clock)
        await backend.open()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        yield StoreUnderTest(backend, advance=advance)
        await backend.close()


async def test_ten_processes_share_four_connections(pooled_store_url: str) -> None:
    backends = [connect(f"{pooled_store_url}&timeout_seconds={30 + number}") for number in range(10)]
    for backend in backends:
        await backend.open()

    outcomes = await asyncio.gather(
        *(
            backend.commit(builders.create(f"order-{number}-{turn}"))
            for turn in range(20)
            for number, backend in enumerate(backends)
        )
    )

    assert {type(outcome) for outcome in outcomes} == {Created}
    counts = await asyncio.gather(*(backend.count_instances() for backend in backends))
    assert counts == [{State.RUNNING: 200}] * 10
    for backend in backends:
        await backend.close()
