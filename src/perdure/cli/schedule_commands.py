"""Commands about schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from perdure.cli.options import (
    age,
    app_option,
    arguments_argument,
    examples,
    in_utc,
    input_option,
    json_option,
    priority_option,
    queue_option,
    store_option,
    tag_option,
    workflow_argument,
)


@click.group()
def schedule() -> None:
    """Start a workflow again and again."""


schedule_argument = click.argument("schedule_id", metavar="SCHEDULE")


@schedule.command("list", epilog=examples("perdure schedule list"))
@store_option
@app_option
@json_option
def list_(store: str | None, app_target: str | None, as_json: bool) -> None:
    """List schedules, when they are due, and their last runs."""
    from perdure.cli import scheduling

    scheduling.list_schedules(store, app_target=app_target, as_json=as_json)


@schedule.command(epilog=examples("perdure schedule show nightly"))
@schedule_argument
@store_option
@app_option
@json_option
def show(schedule_id: str, store: str | None, app_target: str | None, as_json: bool) -> None:
    """Show a schedule and its last ten runs."""
    from perdure.cli import scheduling

    scheduling.show_schedule(store, schedule_id, app_target=app_target, as_json=as_json)


@schedule.command(
    epilog=examples(
        """perdure schedule create nightly report '"north"' --cron '30 2 * * *' --timezone Europe/Berlin""",
        "perdure schedule create poll fetch --every 10m --overlap skip",
    )
)
@schedule_argument
@workflow_argument
@arguments_argument
@input_option
@click.option("--cron", metavar="LINE", help="When, as in '30 2 * * *' or @daily.")
@click.option("--every", type=age, metavar="TIME", help="Or how often, as in 90s or 12h.")
@click.option("--timezone", metavar="NAME", default="UTC", show_default=True, help="Where the clock of --cron stands.")
@click.option(
    "--overlap",
    type=click.Choice(["skip", "queue", "cancel", "allow"]),
    default="skip",
    show_default=True,
    help="What happens to a run that is due while an earlier one goes on.",
)
@click.option(
    "--catch-up",
    type=age,
    metavar="TIME",
    default="1d",
    show_default=True,
    help="Start late what came due while no worker ran, if it isn't older than this.",
)
@click.option(
    "--from",
    "start_at",
    type=click.DateTime(),
    metavar="TIME",
    help="Nothing is due before 2026-11-23 or 2026-11-23T08:30:00, in UTC.",
)
@click.option("--to", "end_at", type=click.DateTime(), metavar="TIME", help="Nothing is due after such a time.")
@queue_option
@priority_option
@tag_option
@click.option("--deadline", "timeout", type=age, metavar="TIME", help="Fail a run that takes longer than this.")
@store_option
@app_option
@json_option
def create(
    *,
    schedule_id: str,
    workflow: str,
    start_at: datetime | None,
    end_at: datetime | None,
    store: str | None,
    app_target: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a schedule, or change the one of this id.

    A run is started whenever it is due, once, while a worker runs. Give either --cron or --every. Arguments are as for
    `perdure start`.
    """
    from perdure.cli import scheduling, starting
    from perdure.model.schedule import Schedule

    if (options["cron"] is None) is (options["every"] is None):
        raise click.UsageError("give either --cron or --every")
    when = {name: options.pop(name) for name in ("cron", "every", "timezone", "overlap", "catch_up")}
    made = Schedule(schedule_id, start_at=in_utc(start_at), end_at=in_utc(end_at), **when)
    given, chosen = starting.call_of(options)
    scheduling.create(store, made, workflow, given, chosen, app_target=app_target, as_json=as_json)


@schedule.command(epilog=examples("perdure schedule pause nightly"))
@schedule_argument
@store_option
@json_option
def pause(schedule_id: str, store: str | None, as_json: bool) -> None:
    """Let a schedule start nothing until it is resumed."""
    from perdure.cli import scheduling
    from perdure.client.schedules import ScheduleHandle

    scheduling.change(store, schedule_id, ScheduleHandle.pause, "paused", as_json=as_json)


@schedule.command(epilog=examples("perdure schedule resume nightly"))
@schedule_argument
@store_option
@json_option
def resume(schedule_id: str, store: str | None, as_json: bool) -> None:
    """Let a schedule start runs again.

    What was due meanwhile isn't caught up on.
    """
    from perdure.cli import scheduling
    from perdure.client.schedules import ScheduleHandle

    scheduling.change(store, schedule_id, ScheduleHandle.resume, "goes on", as_json=as_json)


@schedule.command(epilog=examples("perdure schedule trigger nightly"))
@schedule_argument
@store_option
@app_option
@json_option
def trigger(schedule_id: str, store: str | None, app_target: str | None, as_json: bool) -> None:
    """Start a run now, beside any other one, and write its id."""
    from perdure.cli import scheduling

    scheduling.trigger(store, schedule_id, app_target=app_target, as_json=as_json)


@schedule.command(epilog=examples("perdure schedule delete nightly"))
@schedule_argument
@store_option
@json_option
def delete(schedule_id: str, store: str | None, as_json: bool) -> None:
    """Remove a schedule; what it has started goes on."""
    from perdure.cli import scheduling
    from perdure.client.schedules import ScheduleHandle

    scheduling.change(store, schedule_id, ScheduleHandle.delete, "deleted", as_json=as_json)


ALL = (schedule,)
