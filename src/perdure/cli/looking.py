"""`list` and `show`: what they ask of a store, and how the answer is written."""

from __future__ import annotations

import asyncio

import click

from perdure.backends.weight import with_result
from perdure.cli.opening import opened_client
from perdure.cli.picturing import (
    ACTIVITIES_HEAD,
    EVENTS_HEAD,
    Shown,
    bars_of,
    event_row,
    facts_of,
    standing_of,
    waiting_rows,
    where_lines,
)
from perdure.cli.shown import as_data, printable
from perdure.cli.sticking import print_stuck, reason_of
from perdure.cli.tables import print_facts, print_json, print_lines, print_table
from perdure.client.filters import Filters
from perdure.diagnostics.look import Look
from perdure.diagnostics.views.timeline import read_timeline
from perdure.diagnostics.views.where import read_where
from perdure.errors import ConfigurationError
from perdure.model.instance import Instance
from perdure.serialization.payloads import Payloads

_ALL = 1_000_000
_HEAD = ("id", "state", "workflow", "created", "queue")


def list_instances(store: str | None, filters: Filters, *, limit: int, as_json: bool) -> None:
    instances = asyncio.run(_read_instances(store, filters, limit))
    if as_json:
        print_json(as_data(instances, Payloads()))
    elif not instances:
        click.echo("No instance matches.", err=True)
    else:
        why = filters.get("stuck")
        head = (*_HEAD, "why") if why else _HEAD
        print_table(head, [(*_row(each), reason_of(each)) if why else _row(each) for each in instances])


def show_instance(
    store: str | None, instance_id: str, *, app_target: str | None, history: bool, blobs: bool, as_json: bool
) -> None:
    async def main() -> None:
        async with opened_client(store, app_target) as client:
            shown = await read_shown(Look(client, client._app), instance_id, with_history=history, blobs=blobs)
            if as_json:
                print_json(as_data(shown, client._payloads))
            else:
                _print_shown(shown, client._payloads)

    asyncio.run(main())


def write_page(store: str | None, instance_id: str, *, app_target: str | None) -> None:
    """The run as HTML, on standard output."""
    try:
        from perdure.diagnostics import run_page
    except ModuleNotFoundError as problem:
        raise ConfigurationError(str(problem)) from None

    async def main() -> None:
        async with opened_client(store, app_target) as client:
            click.echo(await run_page(Look(client, client._app), instance_id))

    asyncio.run(main())


async def _read_instances(store: str | None, filters: Filters, limit: int) -> list[Instance]:
    found: list[Instance] = []
    async with opened_client(store) as client:
        async for instance in client.list(**filters):
            found.append(instance)
            if len(found) == limit:
                break
    return found


async def read_shown(
    look: Look, instance_id: str, *, with_code: bool = True, with_history: bool = False, blobs: bool = False
) -> Shown:
    """Raises InstanceNotFound."""
    client = look.client
    store = client.backend
    instance = await client.info(instance_id)
    outcome = await store.read_outcome(instance_id)
    return Shown(
        instance=instance,
        outcome=await with_result(store, outcome) if outcome is not None and blobs else outcome,
        activities=await client.activities(instance_id),
        where=await read_where(look, instance_id, with_code=with_code),
        timeline=await read_timeline(look, instance_id, most=_ALL),
        history=[event async for event in client.history(instance_id, blobs=blobs)] if with_history else None,
    )


def _row(instance: Instance) -> tuple[str, ...]:
    created = instance.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (instance.instance_id, standing_of(instance), instance.workflow, created, instance.queue)


def _print_shown(shown: Shown, payloads: Payloads) -> None:
    print_facts(facts_of(shown, payloads))
    print_stuck(shown.instance)
    click.echo()
    for line in where_lines(shown.where):
        click.echo(line)
    if shown.activities:
        click.echo("\nActivities that haven't ended:\n")
        print_table(ACTIVITIES_HEAD, waiting_rows(shown))
    if shown.timeline.bars:
        click.echo()
        print_lines(bars_of(shown))
    failure = None if shown.outcome is None else shown.outcome.failure
    if failure is not None and failure.traceback:
        click.echo("\nTraceback:\n")
        for line in failure.traceback.splitlines():
            click.echo(printable(line))
    if shown.history is not None:
        click.echo("\nHistory:\n")
        print_table(EVENTS_HEAD, [event_row(event, payloads) for event in shown.history])
