"""`signal`, `cancel`, `terminate`, `suspend`, `resume` and `retry`: what is done to an instance, or to many."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import click
import msgspec

from perdure.cli.opening import opened_client
from perdure.cli.progress import progress
from perdure.cli.shown import as_data, printable
from perdure.cli.tables import print_json, print_table
from perdure.client.client import Client
from perdure.client.filters import Filters
from perdure.client.retrying import retry_waiting
from perdure.errors import InstanceNotFound, InstanceNotRunning
from perdure.model.inspection import PendingActivity
from perdure.model.instance import State
from perdure.serialization.payloads import Payloads
from perdure.workflows.scheduling import WORKFLOW as SCHEDULE
from perdure.workflows.signal import Signal

_AT_ONCE = 50
"""So many go to the store together, and share its transactions."""

Deed = Callable[[Client, str], Awaitable[None]]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it for one instance."""

    instance_id: str
    is_done: bool
    message: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do to instances: of these ids, or all running ones of a filter."""

    verb: str
    """As in the question whether it is meant: `terminate`."""
    done: str
    """As in what is said then: `terminated`."""
    deed: Deed
    is_asked: bool
    """Whether it is asked if many are meant: it can't be taken back."""


def cancelling(reason: str) -> Asked:
    return Asked(
        verb="cancel",
        done="was asked to cancel",
        deed=lambda client, instance_id: client.cancel(instance_id, reason),
        is_asked=True,
    )


def terminating(reason: str) -> Asked:
    return Asked(
        verb="terminate",
        done="terminated",
        deed=lambda client, instance_id: client.terminate(instance_id, reason),
        is_asked=True,
    )


SUSPENDING = Asked(verb="suspend", done="suspended", deed=Client.suspend, is_asked=False)
RESUMING = Asked(verb="resume", done="goes on", deed=Client.resume, is_asked=False)


def steer(store: str | None, asked: Asked, ids: Sequence[str], filters: Filters, *, yes: bool, as_json: bool) -> None:
    """Exit code 1 if it wasn't done to all of them."""
    if bool(ids) is bool(filters):
        raise click.UsageError("name instances by their ids, or by a filter such as --workflow or --id-prefix")
    done = asyncio.run(_steer(store, asked, list(dict.fromkeys(ids)), filters, yes=yes, as_json=as_json))
    if as_json:
        print_json(as_data(done, Payloads()))
    elif not done:
        click.echo("No running instance matches.", err=True)
    elif len(done) == 1:
        click.echo(f"{printable(done[0].instance_id)}: {printable(done[0].message)}", err=not done[0].is_done)
    else:
        print_table(("id", "what"), [(each.instance_id, each.message) for each in done])
    sys.exit(0 if all(each.is_done for each in done) else 1)


async def _steer(
    store: str | None, asked: Asked, ids: list[str], filters: Filters, *, yes: bool, as_json: bool
) -> list[Done]:
    async with opened_client(store) as client:
        if not ids:
            ids = await _matching(client, filters)
        elif len(ids) == 1:
            await asked.deed(client, ids[0])
            return [Done(instance_id=ids[0], is_done=True, message=asked.done)]
        if asked.is_asked:
            confirm(f"{asked.verb.capitalize()} {len(ids):,} instances?", len(ids), yes=yes)
        with progress(is_silent=as_json or len(ids) == 1) as tell:
            done: list[Done] = []
            for first in range(0, len(ids), _AT_ONCE):
                some = ids[first : first + _AT_ONCE]
                done += await asyncio.gather(*(_one(client, asked, instance_id) for instance_id in some))
                if tell is not None:
                    tell(len(done), len(ids))
        return done


async def _matching(client: Client, filters: Filters) -> list[str]:
    """All running ones but schedules, which have commands of their own: whoever means a queue hardly means those that feed it."""
    filters["states"] = [State.RUNNING]
    found = [instance async for instance in client.list(**filters)]
    return [each.instance_id for each in found if each.workflow != SCHEDULE or "workflow" in filters]


async def _one(client: Client, asked: Asked, instance_id: str) -> Done:
    try:
        await asked.deed(client, instance_id)
    except InstanceNotFound:
        return Done(instance_id=instance_id, is_done=False, message="no such instance")
    except InstanceNotRunning:
        return Done(instance_id=instance_id, is_done=False, message="has ended")
    return Done(instance_id=instance_id, is_done=True, message=asked.done)


def confirm(question: str, count: int, *, yes: bool) -> None:
    """Ask, if there are several and nobody has said yes. Raises UsageError where nobody is there to be asked, Abort at a no."""
    if yes or count < 2:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is here to be asked: pass --yes if so")
    click.confirm(question, abort=True, err=True)


def signal(
    store: str | None,
    instance_id: str,
    name: str,
    value: Any,
    *,
    key: str | None,
    app_target: str | None,
    as_json: bool,
) -> None:
    async def main() -> None:
        async with opened_client(store, app_target) as client:
            sent: Signal[Any] = Signal(name, Any)
            await client.signal(instance_id, sent, value, idempotency_key=key)

    asyncio.run(main())
    _tell_done(instance_id, "the signal was sent", as_json=as_json)


def retry(store: str | None, instance_id: str, numbers: Sequence[int], *, as_json: bool) -> None:
    begun = asyncio.run(_retry(store, instance_id, numbers))
    due = ", ".join(f"activity {each.number} ({each.name})" for each in begun)
    _tell_done(instance_id, f"due now: {due}", as_json=as_json)


async def _retry(store: str | None, instance_id: str, numbers: Sequence[int]) -> list[PendingActivity]:
    async with opened_client(store) as client:
        return await retry_waiting(client, instance_id, numbers)


def _tell_done(instance_id: str, message: str, *, as_json: bool) -> None:
    if as_json:
        print_json(as_data([Done(instance_id=instance_id, is_done=True, message=message)], Payloads()))
    else:
        click.echo(f"{printable(instance_id)}: {printable(message)}")
