"""How instances end, for commands that wait for it: what they write, and their exit codes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta

import click
import msgspec

from perdure.backends.weight import with_result
from perdure.cli.opening import opened_client
from perdure.cli.shown import as_data, printable
from perdure.cli.tables import print_json, print_table
from perdure.client.client import Client
from perdure.client.waiting import wait_for_outcome
from perdure.model.failure import Failure
from perdure.model.instance import Instance, Outcome, State

STILL_RUNNING = 6
EXIT_CODES: Mapping[State, int] = {
    State.RUNNING: STILL_RUNNING,
    State.COMPLETED: 0,
    State.FAILED: 3,
    State.CANCELLED: 4,
    State.TERMINATED: 5,
}


def result(
    store: str | None, instance_id: str, *, timeout: timedelta | None, app_target: str | None, as_json: bool
) -> None:
    async def main() -> int:
        async with opened_client(store, app_target) as client:
            return tell_end(await wait_for_end(client, instance_id, timeout), client, as_json=as_json)

    sys.exit(asyncio.run(main()))


def wait(store: str | None, ids: Sequence[str], *, timeout: timedelta | None, as_json: bool) -> None:
    """The exit code is the highest of theirs."""
    states = asyncio.run(_wait(store, ids, timeout))
    if as_json:
        print_json([{"instance_id": instance_id, "state": state} for instance_id, state in states])
    else:
        print_table(("id", "state"), states)
    sys.exit(max(EXIT_CODES[state] for _, state in states))


async def _wait(store: str | None, ids: Sequence[str], timeout: timedelta | None) -> list[tuple[str, State]]:  # noqa: ASYNC109 - none is cancelled
    async with opened_client(store) as client:
        instances = [await client.info(instance_id) for instance_id in ids]  # all, before any is waited for
        for note in dict.fromkeys([await _note(client, instance) for instance in instances]):
            _tell_note(note)

        async def one(instance_id: str) -> tuple[str, State]:
            outcome = await _end(client, instance_id, timeout)
            return (instance_id, State.RUNNING if outcome is None else outcome.state)

        return list(await asyncio.gather(*(one(instance_id) for instance_id in ids)))


async def wait_for_end(client: Client, instance_id: str, timeout: timedelta | None) -> Outcome | None:  # noqa: ASYNC109 - it isn't cancelled
    """How it ended, with its result whole; None if it still runs after the time-out."""
    await note_if_nobody_works(client, instance_id)
    outcome = await _end(client, instance_id, timeout)
    return None if outcome is None else await with_result(client.backend, outcome)


async def _end(client: Client, instance_id: str, timeout: timedelta | None) -> Outcome | None:  # noqa: ASYNC109 - the same
    try:
        return await wait_for_outcome(client.backend, instance_id, timeout, client._clock)
    except TimeoutError:
        return None


def tell_end(outcome: Outcome | None, client: Client, *, as_json: bool) -> int:
    """Write the result, or how it ended without one; the exit code."""
    if outcome is None:
        click.echo("It is still running, and goes on.", err=True)
        return STILL_RUNNING
    if as_json:
        print_json(as_data(outcome, client._payloads))
    elif outcome.result is None:
        click.echo(f"Error: {printable(how_it_ended(outcome))}", err=True)
    else:
        _print_result(outcome.result, client)
    return EXIT_CODES[outcome.state]


def how_it_ended(outcome: Outcome) -> str:
    """In words."""
    said = f"{outcome.instance_id} {_ENDED[outcome.state]}"
    if outcome.failure is not None:
        return f"{said}: {told(outcome.failure)}"
    return f"{said}: {outcome.reason}" if outcome.reason else said


_ENDED = {
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "was cancelled",
    State.TERMINATED: "was terminated",
}


def told(failure: Failure) -> str:
    """The failure on a line, with its causes."""
    said = f"{failure.type_name}: {failure.message}"
    return said if failure.cause is None else f"{said} (from {told(failure.cause)})"


async def note_if_nobody_works(client: Client, instance_id: str) -> None:
    """Say on the side what whoever waits may wait for in vain. Raises InstanceNotFound."""
    _tell_note(await _note(client, await client.info(instance_id)))


async def _note(client: Client, instance: Instance) -> str:
    if instance.state is not State.RUNNING:
        return ""
    if instance.stuck is not None:
        return f"it is stuck: {instance.stuck.reason}. `perdure show` says more"
    if instance.suspended:
        return "it is suspended: `perdure resume` lets it go on"
    workers = await client.backend.list_workers()
    if any(worker.is_alive and instance.queue in worker.workflow_queues for worker in workers):
        return ""
    return f"no worker of queue {instance.queue!r} is running: `perdure worker MODULE:APP` is one"


def _tell_note(note: str) -> None:
    if note:
        click.echo(f"Note: {printable(note)}", err=True)


def _print_result(payload: bytes, client: Client) -> None:
    """As JSON, a text with its quotes: whatever reads it can tell it from a number."""
    text = client._payloads.plain_text(payload)
    click.echo(msgspec.json.format(text, indent=2).decode())
