"""Commands that change what an instance, or a queue, does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from perdure.cli.options import (
    app_option,
    examples,
    filter_options,
    filters_of,
    id_argument,
    ids_argument,
    json_option,
    json_value,
    reason_option,
    store_option,
    timeout_option,
    yes_option,
)

if TYPE_CHECKING:
    from perdure.client.filters import Filters

key_option = click.option("--key", metavar="TEXT", help="A second one of this name and key is taken for the first.")


@click.command(epilog=examples("""perdure signal order-7 approval '{"by": "anna"}'""", "perdure signal order-7 go"))
@id_argument
@click.argument("name", metavar="SIGNAL")
@click.argument("value", metavar="[JSON]", required=False, type=json_value)
@key_option
@store_option
@app_option
@json_option
def signal(
    *,
    instance_id: str,
    name: str,
    value: Any,
    key: str | None,
    store: str | None,
    app_target: str | None,
    as_json: bool,
) -> None:
    """Send a signal to a running instance.

    It waits there until the workflow receives it. The value is JSON, null if there is none. It is checked against the
    signal's type where it is received, not here.
    """
    from perdure.cli import steering

    steering.signal(store, instance_id, name, value, key=key, app_target=app_target, as_json=as_json)


@click.command(epilog=examples("perdure update order-7 approve '\"anna\"'"))
@id_argument
@click.argument("name", metavar="UPDATE")
@click.argument("arguments", metavar="[JSON]...", nargs=-1, type=json_value)
@timeout_option
@key_option
@store_option
@app_option
@json_option
def update(
    *,
    instance_id: str,
    name: str,
    arguments: tuple[Any, ...],
    timeout: timedelta | None,
    key: str | None,
    store: str | None,
    app_target: str | None,
    as_json: bool,
) -> None:
    """Have a workflow handle something; the answer is JSON.

    After --timeout, or Ctrl-C, the update goes on.
    """
    from perdure.cli import asking

    asking.update(store, instance_id, name, arguments, timeout=timeout, key=key, app_target=app_target)


@click.command(
    epilog=examples("perdure cancel order-7 --reason 'asked by the customer'", "perdure cancel --workflow report --yes")
)
@ids_argument(is_required=False)
@filter_options("running")
@reason_option
@yes_option
@store_option
@json_option
def cancel(ids: tuple[str, ...], reason: str, yes: bool, store: str | None, as_json: bool, **filters: Any) -> None:
    """Ask instances to cancel.

    They can clean up first, or finish all the same. Name them by their ids, or by a filter that means all running ones
    it lets through. If it is more than one, you are asked.
    """
    from perdure.cli import steering

    found = cast("Filters", filters_of(filters))
    steering.steer(store, steering.cancelling(reason), ids, found, yes=yes, as_json=as_json)


@click.command(
    epilog=examples(
        "perdure terminate order-7 --reason 'runs in circles'", "perdure terminate --stuck --app-version 2026-10 --yes"
    )
)
@ids_argument(is_required=False)
@filter_options("running")
@reason_option
@yes_option
@store_option
@json_option
def terminate(ids: tuple[str, ...], reason: str, yes: bool, store: str | None, as_json: bool, **filters: Any) -> None:
    """End instances at once, without any clean-up.

    Activities that run end for nobody; sub-workflows are told, as their parent_close says. Name them by their ids, or
    by a filter that means all running ones it lets through. If it is more than one, you are asked.
    """
    from perdure.cli import steering

    found = cast("Filters", filters_of(filters))
    steering.steer(store, steering.terminating(reason), ids, found, yes=yes, as_json=as_json)


@click.command(epilog=examples("perdure suspend order-7", "perdure suspend --workflow checkout"))
@ids_argument(is_required=False)
@filter_options("running")
@store_option
@json_option
def suspend(ids: tuple[str, ...], store: str | None, as_json: bool, **filters: Any) -> None:
    """Hold instances until they are resumed.

    What runs goes on to its end, nothing new begins. Name them by their ids, or by a filter that means all running ones
    it lets through.
    """
    from perdure.cli import steering

    found = cast("Filters", filters_of(filters))
    steering.steer(store, steering.SUSPENDING, ids, found, yes=True, as_json=as_json)


@click.command(epilog=examples("perdure resume order-7", "perdure resume --stuck"))
@ids_argument(is_required=False)
@filter_options("running")
@store_option
@json_option
def resume(ids: tuple[str, ...], store: str | None, as_json: bool, **filters: Any) -> None:
    """Let suspended instances go on, and try stuck ones again.

    Name them by their ids, or by a filter that means all running ones it lets through.
    """
    from perdure.cli import steering

    found = cast("Filters", filters_of(filters))
    steering.steer(store, steering.RESUMING, ids, found, yes=True, as_json=as_json)


@click.command(epilog=examples("perdure retry order-7", "perdure retry order-7 3"))
@id_argument
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=click.IntRange(1))
@store_option
@json_option
def retry(instance_id: str, numbers: tuple[int, ...], store: str | None, as_json: bool) -> None:
    """Begin the next attempt of an activity now.

    It doesn't wait until its retry policy says. `perdure show ID` has the activities' numbers; without one, all of the
    instance that wait are due.
    """
    from perdure.cli import steering

    steering.retry(store, instance_id, numbers, as_json=as_json)


@click.group()
def queue() -> None:
    """Limit a queue's activities over all workers, or hold them."""


@queue.command(epilog=examples("perdure queue limit mail --at-once 2 --per-second 10", "perdure queue limit mail"))
@click.argument("name", metavar="QUEUE")
@click.option("--at-once", type=click.IntRange(1), help="So many run at a time; without it, any number.")
@click.option(
    "--per-second", type=click.FloatRange(0, min_open=True), help="So many begin a second; without it, any number."
)
@store_option
@json_option
def limit(name: str, store: str | None, at_once: int | None, per_second: float | None, as_json: bool) -> None:
    """Set both limits of a queue.

    Workers that run keep to them at once. Without an option, the queue has no limit any more.
    """
    from perdure.cli import queueing

    queueing.change_queue(
        store, name, lambda queues: queues.set_limits(name, at_once=at_once, per_second=per_second), as_json=as_json
    )


@queue.command("pause", epilog=examples("perdure queue pause mail"))
@click.argument("name", metavar="QUEUE")
@store_option
@json_option
def pause_queue(name: str, store: str | None, as_json: bool) -> None:
    """Let no activity of a queue begin; those that run go on."""
    from perdure.cli import queueing

    queueing.change_queue(store, name, lambda queues: queues.pause(name), as_json=as_json)


@queue.command("resume", epilog=examples("perdure queue resume mail"))
@click.argument("name", metavar="QUEUE")
@store_option
@json_option
def resume_queue(name: str, store: str | None, as_json: bool) -> None:
    """Let activities of a queue begin again."""
    from perdure.cli import queueing

    queueing.change_queue(store, name, lambda queues: queues.resume(name), as_json=as_json)


ALL = (signal, update, cancel, terminate, suspend, resume, retry)
