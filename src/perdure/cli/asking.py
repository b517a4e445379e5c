"""`query` and `update`: what a workflow answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from perdure.cli.opening import opened_client
from perdure.cli.tables import print_json


def query(
    store: str | None,
    instance_id: str,
    name: str,
    arguments: Sequence[Any],
    *,
    timeout: timedelta | None,
    app_target: str | None,
) -> None:
    """A query; its answer as JSON."""

    async def main() -> Any:
        async with opened_client(store, app_target) as client:
            handle = client.handle(instance_id).with_options(timeout=timeout)
            return await handle.query(name, *arguments)

    print_json(asyncio.run(main()))


def update(
    store: str | None,
    instance_id: str,
    name: str,
    arguments: Sequence[Any],
    *,
    timeout: timedelta | None,
    key: str | None,
    app_target: str | None,
) -> None:
    """An update; its answer as JSON."""

    async def main() -> Any:
        async with opened_client(store, app_target) as client:
            handle = client.handle(instance_id).with_options(timeout=timeout, idempotency_key=key)
            return await handle.update(name, *arguments)

    print_json(asyncio.run(main()))
