"""`prune` and `remove`: what goes, and what it was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

import click
import msgspec

from perdure.cli.opening import opened_client
from perdure.cli.progress import OnProgress, progress
from perdure.cli.shown import as_data
from perdure.cli.steering import confirm
from perdure.cli.tables import print_json, print_table
from perdure.client.client import Client
from perdure.client.filters import Filters
from perdure.errors import InstanceNotFinished, InstanceNotFound
from perdure.model.instance import State
from perdure.serialization.payloads import Payloads


class Pruning(msgspec.Struct, frozen=True, kw_only=True):
    """What `prune` has done."""

    matching: Mapping[State, int]
    """How many there were before."""
    removed: int


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What `remove` has done with one of them, or would do."""

    instance_id: str
    is_removed: bool
    why_not: str = ""


def prune(
    store: str | None, older_than: timedelta, filters: Filters, *, limit: int | None, dry_run: bool, as_json: bool
) -> None:
    pruning = asyncio.run(_prune(store, older_than, filters, limit, dry_run=dry_run, is_silent=as_json))
    if as_json:
        print_json(as_data(pruning, Payloads()))
        return
    if pruning.matching:
        print_table(("state", "matching"), [(state, f"{count:,}") for state, count in pruning.matching.items()])
    click.echo("Nothing was removed." if dry_run else f"Removed {pruning.removed:,} instances.")


def remove(store: str | None, ids: Sequence[str], *, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Whether all of them are gone, or would be."""
    confirm(f"Remove {len(ids):,} instances?", len(ids), yes=yes or dry_run)
    removals = asyncio.run(_remove(store, ids, dry_run=dry_run))
    if as_json:
        print_json(as_data(removals, Payloads()))
    else:
        done = "would be removed" if dry_run else "removed"
        print_table(
            ("id", "what"), [(each.instance_id, done if each.is_removed else each.why_not) for each in removals]
        )
    return all(each.is_removed for each in removals)


async def _prune(
    store: str | None, older_than: timedelta, filters: Filters, limit: int | None, *, dry_run: bool, is_silent: bool
) -> Pruning:
    async with opened_client(store) as client:
        filters["ended_to"] = await client.backend.now() - older_than
        matching = await client.count(**filters)
        total, removed = sum(matching.values()), 0
        if not dry_run and total:
            with progress(is_silent=is_silent) as tell:
                told = None if tell is None else partial(_tell, tell, total if limit is None else min(total, limit))
                removed = await client.prune(limit=limit, progress=told, **filters)
        return Pruning(matching=matching, removed=removed)


def _tell(tell: OnProgress, total: int, done: int) -> None:
    tell(done, max(total, done))  # some may have ended since they were counted


async def _remove(store: str | None, ids: Sequence[str], *, dry_run: bool) -> list[Removal]:
    async with opened_client(store) as client:
        return [await _remove_one(client, instance_id, dry_run=dry_run) for instance_id in ids]


async def _remove_one(client: Client, instance_id: str, *, dry_run: bool) -> Removal:
    try:
        if not dry_run:
            await client.remove(instance_id)
        elif not (await client.state(instance_id)).is_ended:
            return Removal(instance_id=instance_id, is_removed=False, why_not="still running")
    except InstanceNotFound:
        return Removal(instance_id=instance_id, is_removed=False, why_not="no such instance")
    except InstanceNotFinished:
        return Removal(instance_id=instance_id, is_removed=False, why_not="still running")
    return Removal(instance_id=instance_id, is_removed=True)
