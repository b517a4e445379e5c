"""`migrate`: the schema of a store."""

from __future__ import annotations

import asyncio

import click

from perdure.backends.connect import connect, migration_script
from perdure.cli.loading import check_store
from perdure.cli.opening import open_store
from perdure.cli.tables import print_json


def migrate(store: str | None, *, as_json: bool) -> None:
    url = asyncio.run(_migrate(check_store(store)))
    if as_json:
        print_json({"store": url, "is_done": True})
    else:
        click.echo(f"The schema of {url} is up to date.")


def print_migration(store: str | None, found: int) -> None:
    click.echo(migration_script(check_store(store), found), nl=False)


async def _migrate(url: str) -> str:
    """The URL without secrets."""
    backend = connect(url)
    await open_store(backend)
    await backend.close()
    return backend.url
