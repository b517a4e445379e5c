"""`copy`: all of one store into another, with the progress shown to whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import click

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.cli.loading import check_store, existing_store
from perdure.cli.opening import open_store, opened
from perdure.cli.progress import progress
from perdure.cli.shown import as_data
from perdure.cli.tables import print_json, print_table
from perdure.model.instance import State
from perdure.moving import Copied, abandon_copy, copy_store
from perdure.serialization.payloads import Payloads


def copy(source: str, target: str, *, into_existing: bool, dry_run: bool, as_json: bool) -> None:
    copied = asyncio.run(_copy(source, target, into_existing=into_existing, dry_run=dry_run, is_silent=as_json))
    if as_json:
        print_json(as_data(copied, Payloads()))
    else:
        _print(copied, dry_run=dry_run)


def unseal(source: str, target: str) -> None:
    asyncio.run(_unseal(source, target))


async def _copy(source: str, target: str, *, into_existing: bool, dry_run: bool, is_silent: bool) -> Copied:
    async with opened(source) as old, _target(target, is_made=not dry_run) as new:
        with progress(is_silent=is_silent or dry_run) as on_progress:
            return await copy_store(old, new, into_existing=into_existing, dry_run=dry_run, on_progress=on_progress)


async def _unseal(source: str, target: str) -> None:
    async with opened(source) as old, opened(target) as new:
        left = await abandon_copy(old, new)
        click.echo(f"{old.url} is open again.")
        if left:
            click.echo(f"{new.url} has {left:,} copies of its instances and stays closed: delete that store.")


@asynccontextmanager
async def _target(url: str, *, is_made: bool) -> AsyncGenerator[Backend]:
    """The store, created and migrated if it `is_made`."""
    backend = connect(check_store(url)) if is_made else existing_store(url)
    await open_store(backend)
    try:
        yield backend
    finally:
        await backend.close()


# --- what is shown


def _print(copied: Copied, *, dry_run: bool) -> None:
    states = [state for state in State if state in copied.source or state in copied.target]
    rows = [(state, f"{copied.source.get(state, 0):,}", f"{copied.target.get(state, 0):,}") for state in states]
    print_table(("state", "source", "target"), rows)
    if dry_run:
        click.echo("Nothing was copied.")
    elif copied.had_ended:
        click.echo(f"{copied.source_url} was moved to {copied.target_url} before; there was nothing to do.")
    else:
        before = f", {copied.there_before:,} earlier" if copied.there_before else ""
        click.echo(f"Copied {copied.instances:,} instances{before}, and {copied.settings:,} settings.")
        click.echo(f"{copied.target_url} is open; {copied.source_url} stays sealed.")
