"""`schedule`: what starts again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import click

from perdure.cli.opening import opened_client
from perdure.cli.shown import as_data, at, length_of, printable
from perdure.cli.starting import Arguments
from perdure.cli.tables import print_facts, print_json, print_table
from perdure.client.named import schedule_named
from perdure.client.schedules import ScheduleHandle
from perdure.model.schedule import Schedule
from perdure.serialization.payloads import Payloads
from perdure.workflows.scheduling import ScheduleStatus

_HEAD = ("id", "when", "workflow", "next", "last run", "started", "skipped", "missed")


def list_schedules(store: str | None, *, app_target: str | None, as_json: bool) -> None:
    found = asyncio.run(_read(store, app_target))
    if as_json:
        print_json([_data(status) for status in found])
    elif not found:
        click.echo("There are no schedules.", err=True)
    else:
        print_table(_HEAD, [_row(status) for status in found])


def show_schedule(store: str | None, schedule_id: str, *, app_target: str | None, as_json: bool) -> None:
    status = asyncio.run(_with(store, schedule_id, ScheduleHandle.status, app_target))
    if as_json:
        print_json(_data(status))
        return
    print_facts([(name, value) for name, value in _facts(status) if value])
    if status.recent:
        click.echo("\nIts last runs:\n")
        rows = [(run.instance_id, run.state, at(run.due_at), at(run.started_at)) for run in status.recent]
        print_table(("id", "state", "due", "started"), rows)


def create(
    store: str | None,
    schedule: Schedule,
    workflow: str,
    arguments: Arguments,
    options: dict[str, Any],
    *,
    app_target: str | None,
    as_json: bool,
) -> None:
    async def main() -> ScheduleStatus:
        async with opened_client(store, app_target) as client:
            handle = await schedule_named(client, schedule, workflow, arguments.positional, arguments.named, options)
            return await handle.status()

    asyncio.run(main())
    _tell(schedule.id, f"starts {workflow} {_when(schedule)}", as_json=as_json)


def change(
    store: str | None,
    schedule_id: str,
    deed: Callable[[ScheduleHandle], Awaitable[None]],
    message: str,
    *,
    as_json: bool,
) -> None:
    asyncio.run(_with(store, schedule_id, deed))
    _tell(schedule_id, message, as_json=as_json)


def trigger(store: str | None, schedule_id: str, *, app_target: str | None, as_json: bool) -> None:
    handle = asyncio.run(_with(store, schedule_id, ScheduleHandle.trigger, app_target))
    if as_json:
        print_json({"instance_id": handle.instance_id})
    else:
        click.echo(printable(handle.instance_id))


async def _read(store: str | None, app_target: str | None) -> list[ScheduleStatus]:
    async with opened_client(store, app_target) as client:
        return [status async for status in client.schedules.list()]


async def _with(
    store: str | None, schedule_id: str, deed: Callable[[ScheduleHandle], Awaitable[Any]], app_target: str | None = None
) -> Any:
    async with opened_client(store, app_target) as client:
        return await deed(client.schedules.handle(schedule_id))


# --- what is shown


def _tell(schedule_id: str, message: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"schedule_id": schedule_id, "is_done": True, "message": message})
    else:
        click.echo(f"{printable(schedule_id)}: {printable(message)}")


def _data(status: ScheduleStatus) -> Any:
    return as_data(status, Payloads())


def _row(status: ScheduleStatus) -> Sequence[str]:
    schedule = status.schedule
    last = f"{status.recent[0].state} {at(status.recent[0].started_at)}" if status.recent else ""
    counts = (status.started, status.skipped, status.missed)
    return (schedule.id, _when(schedule), status.workflow, _next(status), last, *map(str, counts))


def _facts(status: ScheduleStatus) -> list[tuple[str, str]]:
    schedule = status.schedule
    return [
        ("schedule", schedule.id),
        ("workflow", status.workflow),
        ("when", _when(schedule)),
        ("overlap", schedule.overlap),
        ("catch up", length_of(schedule.catch_up)),
        ("from", _moment(schedule.start_at)),
        ("to", _moment(schedule.end_at)),
        ("next", _next(status)),
        ("waiting", str(status.waiting)),
        ("started", str(status.started)),
        ("skipped", str(status.skipped)),
        ("missed", str(status.missed)),
    ]


def _when(schedule: Schedule) -> str:
    if schedule.every is not None:
        return f"every {length_of(schedule.every)}"
    return f"{schedule.cron} ({schedule.timezone})"


def _next(status: ScheduleStatus) -> str:
    if status.is_paused:
        return "paused"
    return "" if status.next_due_at is None else at(status.next_due_at)


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else at(moment)
