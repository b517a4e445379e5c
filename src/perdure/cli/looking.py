"""`list`, `show` and `migrate`: what they ask of a store, and how the answer is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import click
import msgspec

from perdure.backends.connect import connect, migration_script
from perdure.backends.protocol import Backend
from perdure.backends.weight import with_result
from perdure.cli.loading import check_store, existing_store, load_app
from perdure.cli.shown import as_data, at, printable
from perdure.cli.tables import print_facts, print_table
from perdure.client.client import Client
from perdure.client.filters import Filters
from perdure.model.failure import Failure
from perdure.model.inspection import HistoryEvent, PendingActivity
from perdure.model.instance import Instance, Outcome
from perdure.serialization.payloads import Payloads

_HEAD = ("id", "state", "workflow", "created", "queue")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """All that `show` writes."""

    instance: Instance
    outcome: Outcome | None
    activities: Sequence[PendingActivity]
    history: Sequence[HistoryEvent] | None


def list_instances(store: str | None, filters: Filters, *, limit: int, as_json: bool) -> None:
    instances = asyncio.run(_read_instances(store, filters, limit))
    if as_json:
        print_json(as_data(instances, Payloads()))
    elif not instances:
        click.echo("No instance matches.", err=True)
    else:
        print_table(_HEAD, [_row(instance) for instance in instances])


def show_instance(
    store: str | None, instance_id: str, *, app_target: str | None, history: bool, blobs: bool, as_json: bool
) -> None:
    app = None if app_target is None else load_app(app_target)
    payloads = Payloads() if app is None else app.payloads
    shown = asyncio.run(_read_shown(store, instance_id, with_history=history, blobs=blobs))
    if as_json:
        print_json(as_data(shown, payloads))
    else:
        _print_shown(shown, payloads)


def migrate(store: str | None) -> None:
    asyncio.run(_migrate(check_store(store)))


def print_migration(store: str | None, found: int) -> None:
    click.echo(migration_script(check_store(store), found), nl=False)


@asynccontextmanager
async def opened(store: str | None) -> AsyncGenerator[Backend]:
    """A store that is there."""
    backend = existing_store(store)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()


async def _read_instances(store: str | None, filters: Filters, limit: int) -> list[Instance]:
    found: list[Instance] = []
    async with opened(store) as backend, Client(backend) as client:
        async for instance in client.list(**filters):
            found.append(instance)
            if len(found) == limit:
                break
    return found


async def _read_shown(store: str | None, instance_id: str, *, with_history: bool, blobs: bool) -> Shown:
    async with opened(store) as backend, Client(backend) as client:
        outcome = await backend.read_outcome(instance_id)
        return Shown(
            instance=await client.info(instance_id),
            outcome=await with_result(backend, outcome) if outcome is not None and blobs else outcome,
            activities=await client.activities(instance_id),
            history=[event async for event in client.history(instance_id, blobs=blobs)] if with_history else None,
        )


async def _migrate(url: str) -> None:
    backend = connect(url)
    await backend.open()
    click.echo(f"The schema of {backend.url} is up to date.")
    await backend.close()


def print_json(data: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def _row(instance: Instance) -> tuple[str, ...]:
    created = instance.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (instance.instance_id, _standing(instance), instance.workflow, created, instance.queue)


def _standing(instance: Instance) -> str:
    also = [word for word, holds in (("stuck", instance.stuck), ("suspended", instance.suspended)) if holds]
    return f"{instance.state} ({', '.join(also)})" if also else instance.state.value


def _print_shown(shown: Shown, payloads: Payloads) -> None:
    print_facts(_facts(shown, payloads))
    if shown.activities:
        click.echo("\nActivities that haven't ended:\n")
        print_table(("number", "activity", "queue", "attempt", "due", "worker", "last failure"), _waiting(shown))
    if shown.history is not None:
        click.echo("\nHistory:\n")
        print_table(("position", "event", "what"), [_event(event, payloads) for event in shown.history])


def _facts(shown: Shown, payloads: Payloads) -> list[tuple[str, str]]:
    instance = shown.instance
    facts: list[tuple[str, object]] = [
        ("instance", instance.instance_id),
        ("workflow", instance.workflow),
        ("state", _standing(instance)),
        ("queue", instance.queue),
        ("priority", instance.priority),
        ("tags", ", ".join(f"{name}={value}" for name, value in instance.tags.items())),
        ("version", instance.version),
        ("parent", instance.parent and instance.parent.instance_id),
        ("execution", f"{instance.execution_id} (number {instance.execution_number})"),
        ("created", at(instance.created_at)),
        ("updated", at(instance.updated_at)),
        ("deadline", instance.deadline_at and at(instance.deadline_at)),
        ("due", instance.due_at and at(instance.due_at)),
        ("ended", instance.ended_at and at(instance.ended_at)),
        ("removed", instance.remove_at and at(instance.remove_at)),
        ("events", f"{instance.history_length} ({instance.history_bytes:,} bytes)"),
        ("worker", instance.worker),
        ("stuck", instance.stuck and instance.stuck.reason),
        *_ending(shown.outcome, payloads),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _ending(outcome: Outcome | None, payloads: Payloads) -> list[tuple[str, object]]:
    if outcome is None:
        return []
    if outcome.result is not None:
        return [("result", _compact(as_data(outcome.result, payloads, "result")))]
    if outcome.failure is not None:
        return [("failure", _told(outcome.failure))]
    return [("reason", outcome.reason)]


def _told(failure: Failure) -> str:
    told = f"{failure.type_name}: {failure.message}"
    return told if failure.cause is None else f"{told} (from {_told(failure.cause)})"


def _waiting(shown: Shown) -> list[tuple[str, ...]]:
    return [
        (
            str(each.number),
            each.name,
            each.queue,
            str(each.attempt),
            at(each.due_at),
            each.worker or ("completed from outside" if each.is_open else ""),
            "" if each.last_failure is None else _told(each.last_failure),
        )
        for each in shown.activities
    ]


def _event(event: HistoryEvent, payloads: Payloads) -> tuple[str, ...]:
    data = as_data(event, payloads)
    position, kind = str(data.pop("position")), data.pop("event")
    said = [f"{name}={_compact(value)}" for name, value in data.items() if value not in (None, "", [], {})]
    return (position, kind, " ".join(said))


def _compact(value: object) -> str:
    return printable(msgspec.json.encode(value).decode())
