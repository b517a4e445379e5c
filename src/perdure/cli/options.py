"""What several commands share: how errors are told, how help is laid out, and their options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from perdure.errors import ArgumentsError, ConfigurationError, InvalidName, PerdureError

F = TypeVar("F", bound=Callable[..., Any])

ENDS = ("completed", "failed", "cancelled", "terminated")
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Commands(click.Group):
    """Shows its commands in sections, and turns perdure's errors into a message and an exit code.

    That is 2 if the command line is to be changed, 1 otherwise.
    """

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.sections: dict[str, list[str]] = {}

    def add_section(self, title: str, commands: Sequence[click.Command]) -> None:
        """Add commands; help shows them in this order under the title."""
        for command in commands:
            self.add_command(command)
        self.sections[title] = [str(command.name) for command in commands]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, ArgumentsError, InvalidName) as problem:
            raise click.UsageError(str(problem)) from problem
        except PerdureError as problem:
            raise click.ClickException(str(problem)) from problem
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands))
        room = formatter.width - width - 6
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].get_short_help_str(room)) for name in names]
                )


def examples(*lines: str) -> str:
    """The end of a command's help; \\b keeps click from filling its lines."""
    return "\n".join(("\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)))


# --- kinds of values

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def age(text: str) -> timedelta:
    """As in `30d`, `12h`, `90m` or `10s`."""
    if not (text[:-1].isdecimal() and text[-1] in _UNITS):
        raise click.BadParameter(f"{text!r} is no length of time: write it as in 30d, 12h, 90m or 10s")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def json_value(text: str) -> Any:
    """What the JSON text says."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise click.BadParameter(
            f"{text!r} isn't JSON: {problem}. A text is written with its quotes, as in '\"tea\"'"
        ) from None


# --- options


# Of starts.

workflow_argument = click.argument("workflow", metavar="WORKFLOW")
arguments_argument = click.argument("arguments", metavar="[JSON]...", nargs=-1, type=json_value)
input_option = click.option(
    "--input",
    "-i",
    "source",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Read the arguments here, or from - : a JSON array, or with the App an object by their names.",
)
queue_option = click.option("--queue", metavar="NAME", help="Put it on this queue.")
priority_option = click.option("--priority", type=int, help="Higher ones go first.")
tag_option = click.option("--tag", "tags", metavar="NAME=VALUE", multiple=True, help="May be repeated.")


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


def yes_option(command: F) -> F:
    return click.option("--yes", "-y", is_flag=True, help="Don't ask whether more than one is meant.")(command)


def reason_option(command: F) -> F:
    return click.option("--reason", metavar="TEXT", default="", help="Why; it stands in the history.")(command)


def timeout_option(command: F) -> F:
    return click.option("--timeout", type=age, metavar="TIME", help="Wait no longer than this, as in 90s or 2h.")(
        command
    )


def id_argument(command: F) -> F:
    return click.argument("instance_id", metavar="ID", shell_complete=_ids_that_begin_so)(command)


def ids_argument(*, is_required: bool) -> Callable[[F], F]:
    """Any number of ids."""
    metavar = "ID..." if is_required else "[ID]..."
    return click.argument("ids", metavar=metavar, nargs=-1, required=is_required, shell_complete=_ids_that_begin_so)


def filter_options(*states: str) -> Callable[[F], F]:
    """Which instances, `filters_of` reads what was given; `states` are those that can be asked for."""
    options = [
        click.option("--workflow", metavar="NAME", help="Of this workflow."),
        click.option("--queue", metavar="NAME", help="On this queue."),
        click.option("--id-prefix", metavar="TEXT", help="Whose id begins so."),
        click.option("--id-contains", metavar="TEXT", help="Whose id holds this."),
        click.option("--tag", "tags", metavar="NAME=VALUE", multiple=True, help="With this tag; may be repeated."),
        click.option("--app-version", "version", metavar="TEXT", help="Started with App(version=TEXT)."),
        click.option(
            "--created-from",
            type=click.DateTime(),
            metavar="TIME",
            help="From 2026-11-23 or 2026-11-23T08:30:00 on, in UTC.",
        ),
        click.option("--created-to", type=click.DateTime(), metavar="TIME", help="Before such a time, in UTC."),
        click.option(
            "--updated-to", type=click.DateTime(), metavar="TIME", help="To which nothing happened since, in UTC."
        ),
        click.option("--parent", "parent_instance_id", metavar="ID", help="Sub-workflows of this instance."),
    ]
    if len(states) > 1:
        options.insert(0, click.option(
            "--state", "states", type=click.Choice(states), multiple=True, help="In this state; may be repeated."
        ))  # fmt: skip
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
    filters = {**given, "tags": tags_of(given["tags"])}
    for name in ("created_from", "created_to", "updated_to"):
        filters[name] = in_utc(filters[name])
    return given_alone(filters)


def given_alone(options: dict[str, Any]) -> dict[str, Any]:
    """Without those that weren't given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def tags_of(given: tuple[str, ...]) -> dict[str, str] | None:
    """Tags by name, if there are any."""
    wrong = [each for each in given if "=" not in each]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} isn't NAME=VALUE", param_hint="--tag")
    return dict(each.split("=", 1) for each in given) or None


def in_utc(at: datetime | None) -> datetime | None:
    """A time that was given without a zone."""
    return None if at is None else at.replace(tzinfo=UTC)


def _ids_that_begin_so(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from perdure.cli.completing import ids_that_begin_so

    return ids_that_begin_so(ctx.params.get("store"), incomplete)
