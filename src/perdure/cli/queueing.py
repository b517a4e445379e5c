"""`queues` and `queue`: what waits, and what holds it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import click
import msgspec

from perdure.cli.opening import opened_client
from perdure.cli.shown import as_data, at, printable
from perdure.cli.tables import print_json, print_table
from perdure.client.queues import Queues
from perdure.client.repeating import repeat
from perdure.model.inspection import QueueLimits, QueueStatus
from perdure.serialization.payloads import Payloads

_HEAD = ("queue", "limits", "workflow tasks", "activities", "running", "oldest due")


class ShownQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `queues`."""

    queue: str
    limits: QueueLimits = QueueLimits()
    status: QueueStatus | None = None
    """None if nothing is on it."""


def show_queues(store: str | None, *, as_json: bool) -> None:
    queues = asyncio.run(_read_queues(store))
    if as_json:
        print_json(as_data(queues, Payloads()))
    elif not queues:
        click.echo("Nothing waits, and no queue has limits.", err=True)
    else:
        print_queues(queues)


def change_queue(store: str | None, name: str, change: Callable[[Queues], Awaitable[None]], *, as_json: bool) -> None:
    """Change the limits of a queue, and say what they are then."""
    limits = asyncio.run(_change(store, name, change))
    if as_json:
        print_json({"queue": name, "limits": as_data(limits, Payloads())})
    else:
        click.echo(f"{printable(name)}: {_told(limits)}")


def print_queues(queues: Sequence[ShownQueue]) -> None:
    print_table(_HEAD, [_row(queue) for queue in queues])


async def _read_queues(store: str | None) -> list[ShownQueue]:
    async with opened_client(store) as client:
        return with_limits(await repeat(client.backend.list_queues), await client.queues.limits())


def with_limits(queues: Sequence[QueueStatus], limits: Mapping[str, QueueLimits]) -> list[ShownQueue]:
    """Those on which something waits, and those that have limits."""
    status = {each.queue: each for each in queues}
    return [
        ShownQueue(queue=name, limits=limits.get(name, QueueLimits()), status=status.get(name))
        for name in sorted({*status, *limits})
    ]


async def _change(store: str | None, name: str, change: Callable[[Queues], Awaitable[None]]) -> QueueLimits:
    async with opened_client(store) as client:
        await change(client.queues)
        return (await client.queues.limits()).get(name, QueueLimits())


def _row(queue: ShownQueue) -> tuple[str, ...]:
    status = queue.status
    if status is None:
        return (queue.queue, _told(queue.limits), "0", "0", "0", "")
    counts = (status.workflow_tasks, status.activity_tasks, status.running_activities)
    oldest = "" if status.oldest_due_at is None else at(status.oldest_due_at)
    return (queue.queue, _told(queue.limits), *map(str, counts), oldest)


def _told(limits: QueueLimits) -> str:
    told = ["paused"] if limits.paused else []
    if limits.at_once is not None:
        told.append(f"{limits.at_once} at once")
    if limits.per_second is not None:
        told.append(f"{limits.per_second:g} a second")
    return ", ".join(told) or "no limits"
