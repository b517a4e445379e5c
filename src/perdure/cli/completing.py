"""What a shell completes: commands and options by click, ids of instances out of the store."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import click
from click.shell_completion import get_completion_class

_MOST = 50
_PATIENCE_SECONDS = 1.5
"""Who presses a key doesn't wait for a server."""


def print_script(command: click.Command, shell: str) -> None:
    """Print what the shell is to evaluate."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(command, {}, "perdure", "_PERDURE_COMPLETE").source())


def ids_that_begin_so(store: str | None, beginning: str) -> list[str]:
    """The newest of them; none if the store can't be asked at once, for a completion has nowhere to tell why."""
    with suppress(Exception):
        return asyncio.run(
            asyncio.wait_for(_read(store or os.environ.get("PERDURE_STORE"), beginning), _PATIENCE_SECONDS)
        )
    return []


async def _read(store: str | None, beginning: str) -> list[str]:
    from perdure.cli.opening import opened
    from perdure.model.inspection import InstanceFilter

    async with opened(store) as backend:
        page = await backend.list_instances(InstanceFilter(id_prefix=beginning or None), limit=_MOST)
    return [instance.instance_id for instance in page.items]
