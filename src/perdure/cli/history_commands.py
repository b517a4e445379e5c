"""Commands about histories: replayed, saved, compared, stepped through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from perdure.cli.options import (
    ENDS,
    app_option,
    examples,
    filter_options,
    filters_of,
    id_argument,
    json_option,
    store_option,
)

if TYPE_CHECKING:
    from perdure.client.filters import Filters


@click.command(
    epilog=examples("perdure replay shop.main:app --state running", "perdure replay shop.main:app tests/histories")
)
@click.argument("named", metavar="[MODULE:APP] [PATH]...", nargs=-1)
@store_option
@app_option
@filter_options("running", *ENDS)
@json_option
def replay(named: tuple[str, ...], store: str | None, app_target: str | None, as_json: bool, **filters: Any) -> None:
    """Replay histories with today's code: does it repeat them?

    Nothing is executed or written. Each PATH is a saved history, or a folder of them. Without one the instances of the
    store are replayed, all or those that the options let through, also while workers are running. PERDURE_APP can name
    the App instead.

    The exit code is 0 if the code repeats every history, 1 if not.
    """
    from perdure.cli import replaying

    found = filters_of(filters)
    app_target, paths = replaying.app_and_paths(named, app_target)
    if paths and found:
        raise click.UsageError("filters are for a store: leave them out, or the PATHs")
    replaying.replay(app_target, paths, store, cast("Filters", found), as_json=as_json)


@click.group()
def history() -> None:
    """Save histories, and make instances of saved ones."""


@history.command(epilog=examples("perdure history export order-7 --output order-7.json"))
@id_argument
@click.option("--execution", metavar="ID", help="Of this execution; else the current one.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, writable=True), help="Into this file.")
@store_option
@app_option
def export(
    instance_id: str, execution: str | None, output: str | None, store: str | None, app_target: str | None
) -> None:
    """Write the history of an instance as JSON.

    `replay`, `debug`, `diff` and `history import` read it. With --app, its codecs open the payloads: what was encrypted
    is readable then.
    """
    from perdure.cli import replaying

    replaying.export(store, instance_id, execution=execution, output=output, app_target=app_target)


@history.command("import", epilog=examples("perdure history import order-7.json --store sqlite:///mine.db"))
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--id", "new_id", metavar="ID", help="Of the new instance, if it isn't to have the old id.")
@click.option("--run-on", "runs_on", is_flag=True, help="Let it run on from where it was. It needs --app.")
@store_option
@app_option
@json_option
def import_(
    paths: tuple[str, ...], new_id: str | None, runs_on: bool, store: str | None, app_target: str | None, as_json: bool
) -> None:
    """Make an instance of a saved history.

    It can be looked at, replayed, asked and forked. One that has ended is there again with its end. One that was
    running stands still, and says so: what was under way isn't in a history. With --run-on it goes on instead, with the
    code of the App: activities and sub-workflows that hadn't ended begin again, timers stay.

    Not carried are tags, published values, earlier executions, and what had been sent to it but not received. An id
    that is taken is refused.
    """
    from perdure.cli import importing

    if new_id is not None and len(paths) > 1:
        raise click.UsageError("--id names one instance: give one FILE")
    if runs_on and app_target is None:
        raise click.UsageError("to run on, the code is needed: --app MODULE:APP, or PERDURE_APP")
    importing.import_files(store, paths, new_id=new_id, runs_on=runs_on, app_target=app_target, as_json=as_json)


@click.command(epilog=examples("perdure diff order-7 order-8", "perdure diff order-7 order-7.json --json"))
@click.argument("first", metavar="ID_OR_FILE")
@click.argument("second", metavar="ID_OR_FILE")
@store_option
@app_option
@json_option
def diff(first: str, second: str, store: str | None, app_target: str | None, as_json: bool) -> None:
    """Compare two runs step by step.

    They are instances, or saved histories. Times are left out. The exit code is 0 if they took the same steps, 1 if not.
    """
    from perdure.cli import replaying

    replaying.diff(store, first, second, app_target=app_target, as_json=as_json)


@click.command(epilog=examples("perdure debug order-7 --at 4 --app shop.main:app"))
@click.argument("instance", metavar="ID_OR_FILE")
@click.option("--at", "at_event", metavar="N", type=click.IntRange(0), default=0, help="Stop at this event.")
@store_option
@app_option
def debug(instance: str, at_event: int, store: str | None, app_target: str | None) -> None:
    """Replay an instance, or a saved history, under pdb.

    It stops at the line of workflow code that runs when event N is applied (`perdure show ID --history` has the numbers); for a
    command, when the event is applied that led to it.
    """
    from perdure.cli import replaying

    replaying.debug(store, instance, at_event, app_target=app_target)


@click.command(epilog=examples("perdure fork order-7 --at 12 --new-id order-7-again --app shop.main:app"))
@id_argument
@click.option(
    "--at", "at_event", metavar="N", type=click.IntRange(0), required=True, help="Keep the history up to this event."
)
@click.option("--new-id", metavar="ID", help="Of the new instance; else one is drawn.")
@store_option
@app_option
@json_option
def fork(
    instance_id: str, at_event: int, new_id: str | None, store: str | None, app_target: str | None, as_json: bool
) -> None:
    """Start another instance from an event of this one.

    It begins with the history up to event N; its id is written. It goes on from there with the code of the App that its
    workers have, beside this one.
    """
    from perdure.cli import replaying

    replaying.fork(store, instance_id, at_event, new_id, app_target=app_target, as_json=as_json)


@click.command(epilog=examples("perdure rewind order-7 --app shop.main:app"))
@id_argument
@click.option(
    "--at",
    "at_event",
    metavar="N",
    type=click.IntRange(0),
    help="To this event; else to before the one that led to the end.",
)
@store_option
@app_option
@json_option
def rewind(instance_id: str, at_event: int | None, store: str | None, app_target: str | None, as_json: bool) -> None:
    """Take an instance without a result back to an event.

    It goes on from there, with the code of the App that its workers have. What came later is forgotten, but for
    signals: `perdure history export` keeps it.
    """
    from perdure.cli import replaying

    replaying.rewind(store, instance_id, at_event, app_target=app_target, as_json=as_json)


GOING_BACK = (fork, rewind)
LOOKING_BACK = (replay, debug, diff, history)
