"""`stats`: a store at a glance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click
import msgspec

from perdure.cli.opening import opened_client
from perdure.cli.queueing import ShownQueue, print_queues, with_limits
from perdure.cli.shown import as_data, at
from perdure.cli.tables import print_json, print_table
from perdure.client.client import Client
from perdure.model.inspection import WorkerStatus
from perdure.model.instance import Instance, State
from perdure.serialization.payloads import Payloads

_MOST_STUCK = 20


class StuckInstance(msgspec.Struct, frozen=True, kw_only=True):
    """One that can't go on, and why."""

    instance_id: str
    workflow: str
    reason: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All that `stats` writes."""

    instances: Mapping[State, int]
    """By state; states without any are left out."""
    suspended: int
    stuck: int
    stuck_instances: tuple[StuckInstance, ...]
    """The newest of them."""
    queues: tuple[ShownQueue, ...]
    workers: tuple[WorkerStatus, ...]


def show_stats(store: str | None, *, as_json: bool) -> None:
    standing = asyncio.run(_read(store))
    if as_json:
        print_json(as_data(standing, Payloads()))
    else:
        _print(standing)


async def _read(store: str | None) -> Standing:
    async with opened_client(store) as client:
        stats = await client.stats()
        return Standing(
            instances=stats.instances,
            suspended=stats.suspended,
            stuck=stats.stuck,
            stuck_instances=await _stuck_ones(client) if stats.stuck else (),
            queues=tuple(with_limits(stats.queues, await client.queues.limits())),
            workers=stats.workers,
        )


async def _stuck_ones(client: Client) -> tuple[StuckInstance, ...]:
    page = await client.page(stuck=True, limit=_MOST_STUCK)
    return tuple(_stuck(instance) for instance in page.items)


def _stuck(instance: Instance) -> StuckInstance:
    reason = "" if instance.stuck is None else instance.stuck.reason
    return StuckInstance(instance_id=instance.instance_id, workflow=instance.workflow, reason=reason)


def _print(standing: Standing) -> None:
    counts = [(state.value, f"{count:,}") for state, count in standing.instances.items()]
    also = [("running, stuck", standing.stuck), ("running, suspended", standing.suspended)]
    print_table(("instances", ""), [*counts, *((name, f"{count:,}") for name, count in also if count)])
    if standing.stuck_instances:
        click.echo("\nStuck (`perdure show ID` says more, `perdure resume ID` tries again at once):\n")
        print_table(
            ("id", "workflow", "reason"),
            [(each.instance_id, each.workflow, each.reason.partition("\n")[0]) for each in standing.stuck_instances],
        )
    click.echo()
    if standing.queues:
        print_queues(standing.queues)
        click.echo()
    _print_workers(standing.workers)


def _print_workers(workers: tuple[WorkerStatus, ...]) -> None:
    if not workers:
        click.echo("No worker is running: `perdure worker MODULE:APP` is one.")
        return
    rows = [
        (
            each.worker,
            "alive" if each.is_alive else "lost",
            at(each.last_heartbeat_at),
            str(each.instances),
            str(each.activities),
            " ".join(sorted({*each.workflow_queues, *each.activity_queues})),
        )
        for each in workers
    ]
    print_table(("worker", "state", "last heard of", "instances", "activities", "queues"), rows)
