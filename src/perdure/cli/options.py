"""What several commands share: how errors are told, and their options."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from perdure.errors import ConfigurationError, PerdureError

F = TypeVar("F", bound=Callable[..., Any])

ENDS = ("completed", "failed", "cancelled", "terminated")


class Commands(click.Group):
    """Turns perdure's errors into a message and an exit code: 2 if the command line is to be changed, 1 otherwise."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as problem:
            raise click.UsageError(str(problem)) from problem
        except PerdureError as problem:
            raise click.ClickException(str(problem)) from problem


def store_option(command: F) -> F:
    return click.option(
        "--store", metavar="URL", envvar="PERDURE_STORE", show_envvar=True, help="Where, as in sqlite:///orders.db."
    )(command)


def app_option(command: F) -> F:
    return click.option(
        "--app", "app_target", metavar="MODULE:APP", envvar="PERDURE_APP", show_envvar=True,
        help="The App: its workflows, and the codecs that open payloads.",
    )(command)  # fmt: skip


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(command)


def filter_options(*states: str) -> Callable[[F], F]:
    """Which instances, `filters_of` reads what was given; `states` are those that can be asked for."""
    options = [
        click.option(
            "--state", "states", type=click.Choice(states), multiple=True, help="In this state; may be repeated."
        ),
        click.option("--workflow", metavar="NAME", help="Of this workflow."),
        click.option("--queue", metavar="NAME", help="On this queue."),
        click.option("--id-prefix", metavar="TEXT", help="Whose id begins so."),
        click.option("--id-contains", metavar="TEXT", help="Whose id holds this."),
        click.option("--tag", "tags", metavar="NAME=VALUE", multiple=True, help="With this tag; may be repeated."),
        click.option("--app-version", "version", metavar="TEXT", help="Started with App(version=TEXT)."),
        click.option("--created-from", type=click.DateTime(), help="From this time on, in UTC."),
        click.option("--created-to", type=click.DateTime(), help="Before this time, in UTC."),
        click.option("--parent", "parent_instance_id", metavar="ID", help="Sub-workflows of this instance."),
    ]
    if "running" in states:
        options += [
            click.option("--stuck", is_flag=True, default=None, help="Those that can't go on."),
            click.option("--suspended", is_flag=True, default=None, help="Those that were suspended."),
        ]

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def filters_of(given: dict[str, Any]) -> dict[str, Any]:
    """The filters among the options that were given, as `Client.list` takes them."""
    filters = {**given, "tags": _tags(given["tags"])}
    for name in ("created_from", "created_to"):
        filters[name] = _in_utc(filters[name])
    return given_alone(filters)


def given_alone(options: dict[str, Any]) -> dict[str, Any]:
    """Without those that weren't given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def _tags(given: tuple[str, ...]) -> dict[str, str] | None:
    wrong = [each for each in given if "=" not in each]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} isn't NAME=VALUE", param_hint="--tag")
    return dict(each.split("=", 1) for each in given) or None


def _in_utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
