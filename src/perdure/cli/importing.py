"""`history import`: saved histories become instances of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from perdure.cli.opening import opened_client
from perdure.cli.shown import printable
from perdure.cli.tables import print_json
from perdure.client.importing import import_history
from perdure.model.instance import State
from perdure.replay.replayer import load_history


def import_files(
    store: str | None,
    paths: Sequence[str],
    *,
    new_id: str | None,
    runs_on: bool,
    app_target: str | None,
    as_json: bool,
) -> None:
    histories = [load_history(path) for path in paths]  # all are read before any is written

    async def main() -> None:
        imported: list[dict[str, str]] = []
        async with opened_client(store, app_target) as client:
            for history in histories:
                state = await import_history(client, history, new_id=new_id, runs_on=runs_on)
                imported.append({"instance_id": new_id or history.instance_id, "state": state})
                if not as_json:
                    click.echo(f"{printable(imported[-1]['instance_id'])}: {_standing(state, runs_on=runs_on)}")
        if as_json:
            print_json(imported)

    asyncio.run(main())


def _standing(state: State, *, runs_on: bool) -> str:
    if state is not State.RUNNING:
        return f"imported, {state}"
    return "imported, and goes on" if runs_on else "imported to be looked at: it is suspended, and wouldn't go on"
