"""`watch`: what happens to an instance, or to many, while it happens.

The end is pushed by the store; what comes before it is looked for again and again. A person gets a picture that changes, if rich is
there; what isn't a terminal gets a line for each thing that happens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator

import click
import msgspec

from perdure.backends.weight import with_result
from perdure.cli.ending import EXIT_CODES, how_it_ended, note_if_nobody_works
from perdure.cli.live import has_picture, picture
from perdure.cli.looking import read_shown
from perdure.cli.opening import opened_client
from perdure.cli.picturing import event_row, lines_of
from perdure.cli.shown import as_data, printable
from perdure.cli.tables import print_json_line
from perdure.client.client import Client
from perdure.client.repeating import repeat
from perdure.diagnostics.look import Look
from perdure.model.inspection import HistoryEvent
from perdure.model.instance import Outcome
from perdure.serialization.payloads import Payloads

_PAUSE_SECONDS = 0.5
_OUTAGE_SECONDS = 60.0
_EVENTS = 1000


def watch_one(store: str | None, instance_id: str, *, app_target: str | None, as_json: bool) -> None:
    """The exit code says how it ended."""

    async def main() -> Outcome:
        async with opened_client(store, app_target) as client:
            await note_if_nobody_works(client, instance_id)
            if has_picture() and not as_json:
                outcome = await _draw(client, instance_id)
            else:
                outcome = await _tell(client, instance_id, as_json=as_json)
            whole = await with_result(client.backend, outcome)
            _tell_end(whole, client._payloads, as_json=as_json)
            return whole

    sys.exit(EXIT_CODES[asyncio.run(main()).state])


async def _draw(client: Client, instance_id: str) -> Outcome:
    look = Look(client, client._app)
    outcome: Outcome | None = None
    with picture() as draw:
        while True:
            draw(lines_of(await read_shown(look, instance_id, with_code=False), client._payloads))
            if outcome is not None:
                return outcome
            outcome = await _wait(client, instance_id)


async def _tell(client: Client, instance_id: str, *, as_json: bool) -> Outcome:
    told = _Told()
    outcome: Outcome | None = None
    while True:
        async for event in _news(client, instance_id, told):
            _tell_event(event, client._payloads, as_json=as_json)
        if outcome is not None:
            return outcome
        outcome = await _wait(client, instance_id)


class _Told(msgspec.Struct):
    """How far history was told."""

    execution_id: str = ""
    position: int = -1


async def _news(client: Client, instance_id: str, told: _Told) -> AsyncGenerator[HistoryEvent]:
    """What was added since; also all executions that have begun since, if the workflow continued as new."""
    executions = [each.execution_id for each in await client.executions(instance_id)]
    begin = executions.index(told.execution_id) if told.execution_id in executions else len(executions) - 1
    for execution_id in executions[begin:]:
        if execution_id != told.execution_id:
            told.execution_id, told.position = execution_id, -1
        while events := await _read(client, instance_id, told):
            for event in events:
                told.position = event.position
                yield event


async def _read(client: Client, instance_id: str, told: _Told) -> list[HistoryEvent]:
    store, execution_id, after = client.backend, told.execution_id, told.position
    return list(
        await repeat(lambda: store.read_history(instance_id, execution_id=execution_id, after=after, limit=_EVENTS))
    )


async def _wait(client: Client, instance_id: str) -> Outcome | None:
    """A moment, or less if it ends."""
    store = client.backend
    return await repeat(lambda: store.wait_for_outcome(instance_id, _PAUSE_SECONDS), patience_seconds=_OUTAGE_SECONDS)


def _tell_event(event: HistoryEvent, payloads: Payloads, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"event": as_data(event, payloads)})
    else:
        click.echo("  ".join(event_row(event, payloads)).rstrip())


def _tell_end(outcome: Outcome, payloads: Payloads, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"outcome": as_data(outcome, payloads)})
    else:
        click.echo(printable(how_it_ended(outcome)))
