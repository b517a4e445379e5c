"""Commands that run workflows: workers and starts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from perdure.cli.options import (
    age,
    app_option,
    arguments_argument,
    examples,
    given_alone,
    input_option,
    json_option,
    priority_option,
    queue_option,
    store_option,
    tag_option,
    workflow_argument,
)


@click.command(epilog=examples("perdure worker shop.main:app --store sqlite:///shop.db --processes 4"))
@click.argument("app_target", metavar="MODULE:APP", envvar="PERDURE_APP")
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
    "--lease",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="How long others wait for one gone silent.",
)
@click.option(
    "--guard",
    type=click.Choice(["off", "warn", "raise"]),
    help="What to do about workflow code that isn't deterministic.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def worker(app_target: str, store: str | None, processes: int, **options: Any) -> None:
    """Run the workflows and activities of an App.

    It works until SIGTERM or Ctrl-C. MODULE:APP names it as in orders.main:app; PERDURE_APP can name it instead. With
    --processes, those that die are started again.
    """
    from perdure.cli import working

    working.run(working.Work(target=app_target, store=store or "", **given_alone(options)), processes)


@click.command(
    epilog=examples(
        """perdure start checkout '{"sku": "tea", "count": 3}' --id order-7""",
        """perdure start checkout '"tea"' 3 --app shop.main:app --wait""",
    )
)
@workflow_argument
@arguments_argument
@input_option
@click.option("--id", "instance_id", metavar="ID", help="The instance's id; without it, one is drawn.")
@click.option(
    "--if-exists",
    type=click.Choice(["raise", "use", "restart", "restart_failed"]),
    help="If the id is taken: take that one, or start anew if it has ended, or if it ended without a result.",
)
@queue_option
@priority_option
@tag_option
@click.option("--delay", "start_delay", type=age, metavar="TIME", help="Begin so much later, as in 90s or 12h.")
@click.option("--deadline", "timeout", type=age, metavar="TIME", help="Fail it if it takes longer than this.")
@click.option("--key", "idempotency_key", metavar="TEXT", help="A repeated start with this key is the same one.")
@click.option("--wait", "is_waiting", is_flag=True, help="Wait for the end, and write the result.")
@click.option("--timeout", "wait_timeout", type=age, metavar="TIME", help="Wait no longer than this; it goes on.")
@store_option
@app_option
@json_option
def start(
    *,
    workflow: str,
    is_waiting: bool,
    wait_timeout: timedelta | None,
    store: str | None,
    app_target: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Start a workflow by its name; the instance's id is written.

    Each argument is JSON: 3, true, '"tea"', '{"sku": "tea"}'. With --app they are checked against the workflow's types;
    without it they are stored as they are, and what doesn't fit shows when a worker reads it. Write -- before the first
    one if that is a negative number.

    With --wait the exit code says how it ended: 0 completed, 3 failed, 4 cancelled, 5 terminated, 6 still running after
    --timeout.
    """
    from perdure.cli import starting

    given, chosen = starting.call_of(options)
    if is_waiting:
        starting.run(store, workflow, given, chosen, timeout=wait_timeout, app_target=app_target, as_json=as_json)
    elif wait_timeout is not None:
        raise click.UsageError("--timeout is how long to --wait; --deadline is how long the instance may take")
    else:
        starting.start(store, workflow, given, chosen, app_target=app_target, as_json=as_json)


ALL = (worker, start)
