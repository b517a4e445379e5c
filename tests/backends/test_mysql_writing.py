"""What a batch sends to MySQL and MariaDB finds rows by their keys: what it read on its way, it would lock, or wait for."""

from __future__ import annotations

import asyncio

import pytest

from perdure.backends.connect import connect
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.mysql.session import MysqlSession
from perdure.backends.mysql.writing import statements_of
from perdure.backends.sql.plan import CHANGED_ACTIVITY, ENDED_INSTANCE, REMOVED_ACTIVITY, STEPPED_INSTANCE, Plan
from perdure.testing.conformance import builders
from tests.backends.mysql_helpers import SERVERS, address_of, drop_tables, new_prefix, server
from tests.network.machines import under_test
from tests.stores import service_url

_CHANGES = (STEPPED_INSTANCE, ENDED_INSTANCE, CHANGED_ACTIVITY, REMOVED_ACTIVITY)
_WHOLE = {"ALL", "index"}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_small_table_is_not_read_whole(kind: str) -> None:
    url, prefix = service_url(kind), new_prefix()
    asyncio.run(_fill(url, prefix))
    session = MysqlSession(address_of(url), MysqlOptions(prefix=prefix))
    session.open()
    keys = [1, 2, 3]
    plan = Plan(
        {change: [(key, *[0] * (len(change.columns) - 1)) for key in keys] for change in _CHANGES},
        instances=[(key, 0) for key in keys],
        activities=[(key, 0) for key in keys],
        buckets=[],
        lines=[],
    )
    row = "" if session.is_mariadb else "row"
    statements = list(statements_of(plan, 1, session.text_of, session.literal, row=row))
    session.close()

    ways = asyncio.run(_ways(url, prefix, statements))

    assert len(ways) == len(_CHANGES) + 2
    assert not _WHOLE & set(ways)


async def _fill(url: str, prefix: str) -> None:
    backend = connect(url, prefix=prefix)
    await backend.open()
    store = under_test(backend)
    worker = await store.worker()
    for number in range(3):
        await store.create(f"order-{number}")
        await worker.run(activities=(builders.activity(),))
    await backend.close()


async def _ways(url: str, prefix: str, statements: list[str]) -> list[str]:
    """How each statement gets at the rows that it changes, or that must be as they were."""
    changed = {"t", f"{prefix}instances", f"{prefix}activities"}
    found: list[str] = []
    async with server(url) as cursor:
        explain = "explain" if url.startswith("mariadb") else "explain format = traditional"
        for statement in statements:
            await cursor.execute(f"{explain} {statement}")
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
            found += [row["type"] for row in rows if row["table"] in changed]
        await drop_tables(cursor, prefix)
    return found
