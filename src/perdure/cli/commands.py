"""The commands and their options. What a command needs beyond click is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from perdure.cli import history_commands
from perdure.cli.options import (
    ENDS,
    Commands,
    app_option,
    filter_options,
    filters_of,
    given_alone,
    json_option,
    store_option,
)

if TYPE_CHECKING:
    from perdure.client.filters import Filters


_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def age(text: str) -> timedelta:
    """As in `30d`, `12h`, `90m` or `10s`."""
    if not (text[:-1].isdecimal() and text[-1] in _UNITS):
        raise click.BadParameter(f"{text!r} is no length of time: write it as in 30d, 12h, 90m or 10s")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="perdure", message="%(package)s %(version)s")
def perdure() -> None:
    """Durable workflows: run workers, look at instances, move them to another store."""


@perdure.command()
@click.argument("app_target", metavar="MODULE:APP")
@store_option
@click.option("--queue", "queues", metavar="NAME", multiple=True, help="Serve this queue; may be repeated.")
@click.option("--only", type=click.Choice(["workflows", "activities"]), help="Run one kind alone.")
@click.option("--app-version", "versions", metavar="TEXT", multiple=True,
              help="Take only instances that an App(version=TEXT) started; may be repeated.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1, 512), default=1, show_default=True, help="How many of them.")
@click.option("--max-workflow-tasks", type=click.IntRange(1), help="Workflow tasks at once in each process.")
@click.option("--max-activities", type=click.IntRange(1), help="Activities at once in each process.")
@click.option("--cache-size", type=click.IntRange(0), help="Executions kept in memory by each process.")
@click.option("--grace", type=click.FloatRange(0), metavar="SECONDS", help="What running activities get at a stop.")
@click.option(
    "--guard",
    type=click.Choice(["off", "warn", "raise"]),
    help="What to do about workflow code that isn't deterministic.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def worker(app_target: str, store: str | None, processes: int, **options: Any) -> None:
    """Run the workflows and activities of an App until SIGTERM or Ctrl-C.

    MODULE:APP names it as in orders.main:app. With --processes, those that die are started again.
    """
    from perdure.cli import working

    working.run(working.Work(target=app_target, store=store or "", **given_alone(options)), processes)


@perdure.command("list")
@store_option
@filter_options("running", *ENDS)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@json_option
def list_(store: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List instances, newest first."""
    from perdure.cli import looking

    looking.list_instances(store, cast("Filters", filters_of(filters)), limit=limit, as_json=as_json)


@perdure.command()
@store_option
@click.option(
    "--older-than", type=age, required=True, metavar="AGE", help="That ended so long ago, as in 30d, 12h or 0s."
)
@filter_options(*ENDS)
@click.option("--limit", type=click.IntRange(1), help="At most so many, those that ended first.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def prune(
    store: str | None, older_than: timedelta, limit: int | None, dry_run: bool, as_json: bool, **filters: Any
) -> None:
    """Remove instances that have ended, with all that belongs to them; others may work on the store meanwhile.

    What was broken off goes on when it is run again.
    """
    from perdure.cli import removing

    removing.prune(
        store, older_than, cast("Filters", filters_of(filters)), limit=limit, dry_run=dry_run, as_json=as_json
    )


@perdure.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@store_option
@click.option("--dry-run", is_flag=True, help="Only look whether they could be.")
@json_option
def remove(ids: tuple[str, ...], store: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove instances that have ended, by their ids. Those that run stay, and the exit code is 1 then."""
    from perdure.cli import removing

    if not removing.remove(store, ids, dry_run=dry_run, as_json=as_json):
        raise click.exceptions.Exit(1)


@perdure.command()
@click.argument("instance_id", metavar="ID")
@store_option
@app_option
@click.option("--history", is_flag=True, help="With the events of its current execution.")
@click.option("--blobs", is_flag=True, help="Read large payloads, too, which are kept apart.")
@json_option
def show(
    instance_id: str, store: str | None, app_target: str | None, history: bool, blobs: bool, as_json: bool
) -> None:
    """Show an instance: where it stands, what it waits for, how it ended."""
    from perdure.cli import looking

    looking.show_instance(store, instance_id, app_target=app_target, history=history, blobs=blobs, as_json=as_json)


@perdure.command()
@store_option
@json_option
def queues(store: str | None, as_json: bool) -> None:
    """Show what waits on each queue, and its limits."""
    from perdure.cli import queueing

    queueing.show_queues(store, as_json=as_json)


@perdure.group()
def queue() -> None:
    """Limit a queue's activities over all workers, or hold them."""


@queue.command()
@click.argument("name")
@click.option("--at-once", type=click.IntRange(1), help="So many run at a time; without it, any number.")
@click.option(
    "--per-second", type=click.FloatRange(0, min_open=True), help="So many begin a second; without it, any number."
)
@store_option
def limit(name: str, store: str | None, at_once: int | None, per_second: float | None) -> None:
    """Set both limits of a queue; workers that run keep to them at once.

    Without an option, the queue has no limit any more.
    """
    from perdure.cli import queueing

    queueing.change_queue(store, name, lambda queues: queues.set_limits(name, at_once=at_once, per_second=per_second))


@queue.command()
@click.argument("name")
@store_option
def pause(name: str, store: str | None) -> None:
    """Let no activity of a queue begin; those that run go on."""
    from perdure.cli import queueing

    queueing.change_queue(store, name, lambda queues: queues.pause(name))


@queue.command()
@click.argument("name")
@store_option
def resume(name: str, store: str | None) -> None:
    """Let activities of a queue begin again."""
    from perdure.cli import queueing

    queueing.change_queue(store, name, lambda queues: queues.resume(name))


@perdure.command()
@store_option
@click.option("--sql", is_flag=True, help="Print what would do it, for psql, mysql or sqlite3, and connect to nothing.")
@click.option("--from-version", type=click.IntRange(0), default=0, help="With --sql: the version that is there.")
def migrate(store: str | None, sql: bool, from_version: int) -> None:
    """Create the store, or bring its schema up to this version of perdure. Repeating it changes nothing."""
    from perdure.cli import looking

    if sql:
        looking.print_migration(store, from_version)
    else:
        looking.migrate(store)


@perdure.command()
@click.argument("source", metavar="SOURCE_URL")
@click.argument("target", metavar="TARGET_URL")
@click.option("--into-existing", is_flag=True, help="The target may have instances of its own.")
@click.option("--dry-run", is_flag=True, help="Only look whether it would begin, and count.")
@click.option("--unseal", is_flag=True, help="Abandon a copy that hasn't ended: open the source again.")
@json_option
def copy(source: str, target: str, into_existing: bool, dry_run: bool, unseal: bool, as_json: bool) -> None:
    """Move all instances, running ones included, to another store; the source is sealed.

    What was broken off goes on when it is run again.
    """
    from perdure.cli import copying

    if unseal and (into_existing or dry_run or as_json):
        raise click.UsageError("--unseal goes with no other option")
    if unseal:
        copying.unseal(source, target)
    else:
        copying.copy(source, target, into_existing=into_existing, dry_run=dry_run, as_json=as_json)


@perdure.command()
@click.argument("paths", metavar="PATH…", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True
)
@click.option("--select", metavar="CODE", multiple=True, help="Only rules that begin so; may be repeated.")
@click.option("--ignore", metavar="CODE", multiple=True, help="No rules that begin so; may be repeated.")
@click.option("--every-async", is_flag=True, help="Take every async function for a workflow.")
@click.option("--explain", metavar="CODE", help="Say what a rule finds, why, and what to write instead.")
def lint(paths: tuple[str, ...], explain: str | None, **options: Any) -> None:
    """Find what workflow code must not do, in files and folders.

    Workflows are looked at, and the functions of their project that they call. Exit code 1 if something is found.
    """
    from perdure.cli import linting

    if explain is not None:
        linting.explain(explain)
    elif paths:
        linting.lint_paths(paths, **options)
    else:
        raise click.UsageError("name files or folders, as in perdure lint src")


for command in history_commands.ALL:
    perdure.add_command(command)
