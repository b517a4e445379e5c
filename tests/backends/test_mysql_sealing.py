"""Who seals a store in MySQL or MariaDB, and those who have begun to write, wait for each other."""

from __future__ import annotations

import asyncio

import pytest

from perdure.backends.connect import connect
from perdure.errors import StoreUnavailable
from perdure.testing.conformance import builders
from tests.backends.mysql_helpers import SERVERS, drop_tables, new_prefix, server
from tests.stores import service_url


@pytest.mark.parametrize("kind", SERVERS)
async def test_nobody_writes_while_somebody_seals(kind: str) -> None:
    url, prefix = service_url(kind), new_prefix()
    store = connect(url, prefix=prefix)
    await store.open()
    async with server(url) as sealer:
        await sealer.execute("begin")
        await sealer.execute(f"select version from {prefix}schema for update")
        in_a_plan, directly = await asyncio.gather(
            store.commit(builders.create("order-1")), store.put_blob(1, b"blob", b"data"), return_exceptions=True
        )
        assert isinstance(in_a_plan, StoreUnavailable)
        assert isinstance(directly, StoreUnavailable)
        await sealer.execute("rollback")

        await store.commit(builders.create("order-1"))
        await store.close()
        await drop_tables(sealer, prefix)
