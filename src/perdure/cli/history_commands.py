"""Commands about histories: replayed, saved, compared, stepped through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from perdure.cli.options import ENDS, app_option, filter_options, filters_of, json_option, store_option

if TYPE_CHECKING:
    from perdure.client.filters import Filters


@click.command()
@click.argument("app_target", metavar="MODULE:APP")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@store_option
@filter_options("running", *ENDS)
@json_option
def replay(app_target: str, paths: tuple[str, ...], store: str | None, as_json: bool, **filters: Any) -> None:
    """Replay histories with the code of an App, and show where they part from it. Nothing is executed or written.

    Each PATH is a saved history, or a folder of them. Without one the instances of the store are replayed, all or those that
    the options let through, also while workers are running.

    The exit code is 0 if the code repeats every history, 1 if not.
    """
    from perdure.cli import replaying

    found = filters_of(filters)
    if paths and found:
        raise click.UsageError("filters are for a store: leave them out, or the PATHs")
    replaying.replay(app_target, paths, store, cast("Filters", found), as_json=as_json)


@click.group()
def history() -> None:
    """Save the history of an instance."""


@history.command()
@click.argument("instance_id", metavar="ID")
@click.option("--execution", metavar="ID", help="Of this execution; else the current one.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, writable=True), help="Into this file.")
@store_option
@app_option
def export(
    instance_id: str, execution: str | None, output: str | None, store: str | None, app_target: str | None
) -> None:
    """Write the history of an instance as JSON, for `replay`, `debug` and `diff`.

    With --app, its codecs open the payloads: what was encrypted is readable then.
    """
    from perdure.cli import replaying

    replaying.export(store, instance_id, execution=execution, output=output, app_target=app_target)


@click.command()
@click.argument("first", metavar="ID_OR_FILE")
@click.argument("second", metavar="ID_OR_FILE")
@store_option
@app_option
@json_option
def diff(first: str, second: str, store: str | None, app_target: str | None, as_json: bool) -> None:
    """Compare two runs step by step: instances, or saved histories. Times are left out.

    The exit code is 0 if they took the same steps, 1 if not.
    """
    from perdure.cli import replaying

    replaying.diff(store, first, second, app_target=app_target, as_json=as_json)


@click.command()
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


@click.command()
@click.argument("instance_id", metavar="ID")
@click.option(
    "--at", "at_event", metavar="N", type=click.IntRange(0), required=True, help="Keep the history up to this event."
)
@click.option("--new-id", metavar="ID", help="Of the new instance; else one is drawn.")
@store_option
@app_option
def fork(instance_id: str, at_event: int, new_id: str | None, store: str | None, app_target: str | None) -> None:
    """Start another instance that begins with the history of this one, up to event N; prints its id.

    It goes on from there with the code of the App that its workers have, beside this one.
    """
    from perdure.cli import replaying

    replaying.fork(store, instance_id, at_event, new_id, app_target=app_target)


@click.command()
@click.argument("instance_id", metavar="ID")
@click.option(
    "--at",
    "at_event",
    metavar="N",
    type=click.IntRange(0),
    help="To this event; else to before the one that led to the end.",
)
@store_option
@app_option
def rewind(instance_id: str, at_event: int | None, store: str | None, app_target: str | None) -> None:
    """Take an instance that ended without a result back to an event, and let it go on from there.

    What came later is forgotten, but for signals: `perdure history export` keeps it.
    """
    from perdure.cli import replaying

    replaying.rewind(store, instance_id, at_event, app_target=app_target)


ALL = (replay, history, diff, debug, fork, rewind)
