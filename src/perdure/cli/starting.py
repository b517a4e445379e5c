"""`start`: a workflow by its name, with arguments as JSON has them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from perdure.cli.ending import note_if_nobody_works, tell_end, wait_for_end
from perdure.cli.opening import opened_client
from perdure.cli.options import given_alone, tags_of
from perdure.cli.shown import printable
from perdure.cli.tables import print_json
from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.client.named import start_named
from perdure.errors import InstanceAlreadyExists


class Arguments(msgspec.Struct, frozen=True):
    """Of a call, as JSON has them."""

    positional: Sequence[Any]
    named: dict[str, Any]


def call_of(given: dict[str, Any]) -> tuple[Arguments, dict[str, Any]]:
    """The arguments, and the options for `with_options`, out of what was given on the command line."""
    given["tags"] = tags_of(given["tags"])
    arguments = _arguments_of(given.pop("arguments"), given.pop("source"))
    return arguments, given_alone(given)


def _arguments_of(given: Sequence[Any], source: str | None) -> Arguments:
    """Those of the command line, or those of a file: an array of them, or an object by their names. Raises UsageError."""
    if source is None:
        return Arguments(given, {})
    if given:
        raise click.UsageError("give the arguments on the command line or by --input, not both")
    text = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise click.BadParameter(f"{source} isn't JSON: {problem}", param_hint="--input") from problem
    if isinstance(found, dict):
        return Arguments((), found)
    if isinstance(found, list):
        return Arguments(found, {})
    raise click.BadParameter(
        f"{source} holds neither an array of the arguments nor an object with them by name", param_hint="--input"
    )


def start(
    store: str | None,
    workflow: str,
    arguments: Arguments,
    options: dict[str, Any],
    *,
    app_target: str | None,
    as_json: bool,
) -> None:
    """Write the id."""

    async def main() -> None:
        async with opened_client(store, app_target) as client:
            handle = await _begin(client, workflow, arguments, options)
            if as_json:
                print_json({"instance_id": handle.instance_id})
            else:
                click.echo(printable(handle.instance_id))
            await note_if_nobody_works(client, handle.instance_id)

    asyncio.run(main())


def run(
    store: str | None,
    workflow: str,
    arguments: Arguments,
    options: dict[str, Any],
    *,
    timeout: timedelta | None,
    app_target: str | None,
    as_json: bool,
) -> None:
    """Write the id on the side, wait, and write the result; the exit code says how it ended."""

    async def main() -> int:
        async with opened_client(store, app_target) as client:
            handle = await _begin(client, workflow, arguments, options)
            click.echo(printable(handle.instance_id), err=True)
            return tell_end(await wait_for_end(client, handle.instance_id, timeout), client, as_json=as_json)

    sys.exit(asyncio.run(main()))


async def _begin(client: Client, workflow: str, arguments: Arguments, options: dict[str, Any]) -> Handle[Any]:
    try:
        return await start_named(client, workflow, arguments.positional, arguments.named, options)
    except InstanceAlreadyExists as problem:
        raise InstanceAlreadyExists(f"{problem}. Here that is --if-exists", problem.instance_id) from problem
