"""`mcp`: a server for agents, on standard input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perdure.cli.on_record import log_to_stderr, user_name
from perdure.cli.options import app_option, examples, store_option

if TYPE_CHECKING:
    from perdure.app import App
    from perdure.diagnostics.actions.table import ActionName


@click.command(epilog=examples("perdure mcp", "perdure mcp --app shop.main:app --allow-actions --only signal"))
@store_option
@app_option
@click.option(
    "--allow-actions", is_flag=True, help="Let agents act, too: each action is to be confirmed, and is logged."
)
@click.option("--only", metavar="ACTION", multiple=True, help="With --allow-actions: this one alone; may be repeated.")
@click.option("--who", metavar="NAME", help="Who stands in the audit log; by default the user of this process.")
def mcp(store: str | None, app_target: str | None, allow_actions: bool, only: tuple[str, ...], who: str | None) -> None:
    """Serve agents that speak the Model Context Protocol.

    That is on standard input and output. They can look at everything in the store; with --app payloads are opened, and
    the line of code that an instance waits in is found. It needs the extra: pip install "perdure[mcp]".
    """
    import asyncio

    if only and not allow_actions:
        raise click.UsageError("--only says which actions are allowed: it goes with --allow-actions")
    log_to_stderr()
    asyncio.run(_serve(store, _load(app_target), _allowed(allow_actions, only), who or user_name()))


async def _serve(store: str | None, app: App | None, allowed: tuple[ActionName, ...], who: str) -> None:
    from perdure.cli.opening import opened
    from perdure.client.client import Client
    from perdure.diagnostics.look import Look
    from perdure.errors import ConfigurationError

    try:
        from perdure.diagnostics.mcp.server import create_server, serve
    except ModuleNotFoundError as problem:
        raise ConfigurationError(
            f'`perdure mcp` needs the package {problem.name}: pip install "perdure[mcp]"'
        ) from None
    async with opened(store) as backend, Client(backend, app) as client:
        await serve(create_server(Look(client, app), who=who, allowed=allowed))


def _load(target: str | None) -> App | None:
    """What the user's module prints when it is imported would be taken for an answer."""
    import contextlib
    import sys

    from perdure.cli.loading import load_app

    with contextlib.redirect_stdout(sys.stderr):
        return None if target is None else load_app(target)


def _allowed(is_allowed: bool, only: tuple[str, ...]) -> tuple[ActionName, ...]:
    from perdure.diagnostics.actions.table import ActionName

    unknown = [name for name in only if name not in {*ActionName}]
    if unknown:
        raise click.BadParameter(
            f"there is no action {unknown[0]!r}: there are {', '.join(ActionName)}", param_hint="--only"
        )
    return tuple(name for name in ActionName if is_allowed and (not only or name in only))
