"""Commands that look, and wait."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from perdure.cli.options import (
    ENDS,
    app_option,
    examples,
    filter_options,
    filters_of,
    id_argument,
    ids_argument,
    json_option,
    json_value,
    store_option,
    timeout_option,
)

if TYPE_CHECKING:
    from perdure.client.filters import Filters


@click.command(
    "list",
    epilog=examples("perdure list --state failed --workflow checkout", "perdure list --stuck --tag customer=7 --json"),
)
@store_option
@filter_options("running", *ENDS)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@json_option
def list_(store: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List instances, newest first."""
    from perdure.cli import looking

    looking.list_instances(store, cast("Filters", filters_of(filters)), limit=limit, as_json=as_json)


@click.command(
    epilog=examples("perdure show order-7 --history --app shop.main:app", "perdure show order-7 --html > order-7.html")
)
@id_argument
@store_option
@app_option
@click.option("--history", is_flag=True, help="With the events of its current execution.")
@click.option("--blobs", is_flag=True, help="Read large payloads, too, which are kept apart.")
@click.option("--html", is_flag=True, help="Write one page that needs nothing else, to attach to a report.")
@json_option
def show(
    *,
    instance_id: str,
    store: str | None,
    app_target: str | None,
    history: bool,
    blobs: bool,
    html: bool,
    as_json: bool,
) -> None:
    """Show where an instance stands, what it waits for, how it ended."""
    from perdure.cli import looking

    if html:
        if history or blobs or as_json:
            raise click.UsageError("--html goes with no other form: the page has the history")
        looking.write_page(store, instance_id, app_target=app_target)
        return
    looking.show_instance(store, instance_id, app_target=app_target, history=history, blobs=blobs, as_json=as_json)


@click.command(epilog=examples("perdure watch order-7", "perdure watch --tag batch=2026-11 --json"))
@click.argument("instance_id", metavar="[ID]", required=False)
@filter_options()
@store_option
@app_option
@json_option
def watch(instance_id: str | None, store: str | None, app_target: str | None, as_json: bool, **filters: Any) -> None:
    """Follow an instance, or all of a filter, to the end.

    Those of a filter are followed until none of them runs; new ones that it lets through count as well. The exit code
    says how it ended: 0 completed, 3 failed, 4 cancelled, 5 terminated; of many, the highest. Ctrl-C ends the watching
    alone, with 130. --json writes a line for each event, or for each change of the counts, and one for the end.
    """
    from perdure.cli import counting, watching

    found = cast("Filters", filters_of(filters))
    if (instance_id is None) is (not found):
        raise click.UsageError("name an instance by its id, or several by a filter such as --workflow or --id-prefix")
    if instance_id is not None:
        watching.watch_one(store, instance_id, app_target=app_target, as_json=as_json)
    else:
        counting.watch_many(store, found, as_json=as_json)


@click.command(epilog=examples("perdure result order-7 --timeout 10m"))
@id_argument
@timeout_option
@store_option
@app_option
@json_option
def result(
    instance_id: str, timeout: timedelta | None, store: str | None, app_target: str | None, as_json: bool
) -> None:
    """Wait until an instance ends, and write its result as JSON.

    The exit code says how it ended: 0 completed, 3 failed, 4 cancelled, 5 terminated, 6 still running after --timeout.
    With --json it is the same object for every end, with its state, result, failure and reason.
    """
    from perdure.cli import ending

    ending.result(store, instance_id, timeout=timeout, app_target=app_target, as_json=as_json)


@click.command(epilog=examples("perdure wait order-7 order-8 && echo both completed"))
@ids_argument(is_required=True)
@timeout_option
@store_option
@json_option
def wait(ids: tuple[str, ...], timeout: timedelta | None, store: str | None, as_json: bool) -> None:
    """Wait until instances have ended, and write how.

    The exit code is the highest of theirs: 0 completed, 3 failed, 4 cancelled, 5 terminated, 6 still running after --timeout.
    """
    from perdure.cli import ending

    ending.wait(store, ids, timeout=timeout, as_json=as_json)


@click.command(epilog=examples("perdure query order-7 status", "perdure query order-7 price '\"EUR\"' --timeout 3s"))
@id_argument
@click.argument("name", metavar="QUERY")
@click.argument("arguments", metavar="[JSON]...", nargs=-1, type=json_value)
@timeout_option
@store_option
@app_option
@json_option
def query(
    *,
    instance_id: str,
    name: str,
    arguments: tuple[Any, ...],
    timeout: timedelta | None,
    store: str | None,
    app_target: str | None,
    as_json: bool,
) -> None:
    """Ask a workflow for something; the answer is JSON.

    A worker of its queue must be running: it answers, also for an instance that has ended. It is waited for ten seconds.
    """
    from perdure.cli import asking

    asking.query(store, instance_id, name, arguments, timeout=timeout, app_target=app_target)


@click.command(epilog=examples("perdure stats"))
@store_option
@json_option
def stats(store: str | None, as_json: bool) -> None:
    """Show a store at a glance.

    Instances by state, those that are stuck and why, queues, workers.
    """
    from perdure.cli import standing

    standing.show_stats(store, as_json=as_json)


@click.command(epilog=examples("perdure queues"))
@store_option
@json_option
def queues(store: str | None, as_json: bool) -> None:
    """Show what waits on each queue, and its limits."""
    from perdure.cli import queueing

    queueing.show_queues(store, as_json=as_json)


ALL = (list_, show, watch, result, wait, query, stats, queues)
