"""`replay`, `history export`, `diff`, `debug`, `fork` and `rewind`: where histories come from, and how what is found is written."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from perdure.cli.loading import load_app
from perdure.cli.opening import opened, opened_client
from perdure.cli.progress import OnProgress, progress
from perdure.cli.shown import printable
from perdure.cli.tables import print_json
from perdure.client.filters import Filters
from perdure.errors import ConfigurationError
from perdure.replay.diffing import RunDiff, compare_runs
from perdure.replay.replayer import DivergenceCause, Replayer, ReplayReport, load_history
from perdure.serialization.payloads import Payloads
from perdure.serialization.saved import SavedHistory


def app_and_paths(named: tuple[str, ...], app_target: str | None) -> tuple[str, tuple[str, ...]]:
    """The App may stand first, or be named by its option or the environment."""
    if named and (app_target is None or (":" in named[0] and not Path(named[0]).exists())):
        return named[0], named[1:]
    if app_target is None:
        raise click.UsageError("whose code? Name it, as in perdure replay orders.main:app, or set PERDURE_APP")
    return app_target, named


def replay(app_target: str, paths: tuple[str, ...], store: str | None, filters: Filters, *, as_json: bool) -> None:
    replayer = Replayer(load_app(app_target))
    with progress(is_silent=as_json) as on_progress:
        if paths:
            report = replayer.replay_files(*paths, on_progress=on_progress)
        else:
            report = asyncio.run(_replay_store(replayer, store, filters, on_progress))
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        _print_report(report)
    sys.exit(0 if report.is_clean else 1)


def export(
    store: str | None, instance_id: str, *, execution: str | None, output: str | None, app_target: str | None
) -> None:
    payloads = _payloads(app_target)
    saved = asyncio.run(_read(store, instance_id, execution)).to_json(payloads)
    if output is None:
        click.echo(saved, nl=False)
    else:
        Path(output).write_bytes(saved)


def diff(store: str | None, first: str, second: str, *, app_target: str | None, as_json: bool) -> None:
    found = compare_runs(_load(store, first), _load(store, second), _payloads(app_target) or Payloads())
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _print_diff(found)
    sys.exit(0 if found.is_same else 1)


def debug(store: str | None, instance: str, at_event: int, *, app_target: str | None) -> None:
    from perdure.replay.debugging import debug_history

    if app_target is None:
        raise ConfigurationError("whose code? Pass --app MODULE:APP, or set PERDURE_APP")
    debug_history(_load(store, instance), load_app(app_target), at_event)


async def _replay_store(
    replayer: Replayer, store: str | None, filters: Filters, on_progress: OnProgress | None
) -> ReplayReport:
    async with opened(store) as backend:
        return await replayer.replay_store(backend, on_progress=on_progress, **filters)


def fork(
    store: str | None, instance_id: str, at_event: int, new_id: str | None, *, app_target: str | None, as_json: bool
) -> None:
    async def begin() -> str:
        async with opened_client(store, _named(app_target)) as client:
            return (await client.fork(instance_id, at_event=at_event, new_id=new_id)).instance_id

    fork_id = asyncio.run(begin())
    if as_json:
        print_json({"instance_id": fork_id})
    else:
        click.echo(printable(fork_id))


def rewind(store: str | None, instance_id: str, at_event: int | None, *, app_target: str | None, as_json: bool) -> None:
    async def begin() -> None:
        async with opened_client(store, _named(app_target)) as client:
            await client.rewind(instance_id, at_event=at_event)

    asyncio.run(begin())
    if as_json:
        print_json({"instance_id": instance_id})
    else:
        click.echo(f"{printable(instance_id)} goes on from there.")


def _named(app_target: str | None) -> str:
    if app_target is None:
        raise ConfigurationError("to go back, the code is needed: --app module:app, or PERDURE_APP")
    return app_target


async def _read(store: str | None, instance_id: str, execution: str | None = None) -> SavedHistory:
    async with opened_client(store) as client:
        return await client.export_history(instance_id, execution_id=execution)


def _load(store: str | None, named: str) -> SavedHistory:
    return load_history(named) if Path(named).is_file() else asyncio.run(_read(store, named))


def _payloads(app_target: str | None) -> Payloads | None:
    return None if app_target is None else load_app(app_target).payloads


# --- what is shown


def _print_report(report: ReplayReport) -> None:
    for cause in report.causes:
        click.echo(_told(cause))
    affected = len(report.instance_ids)
    if affected:
        click.echo(f"{affected:,} of {report.replayed:,} histories diverge, by {_count(report.causes)}.")
    else:
        click.echo(
            f"The code repeats all {report.replayed:,} histories." if report.replayed else "No instance matches."
        )


def _told(cause: DivergenceCause) -> str:
    text = "\n".join(printable(line) for line in str(cause.example).splitlines())
    others = cause.instance_ids[1:]
    if others:
        text += f"\n    and so {len(others):,} more: {printable(' '.join(others))}"
    return f"{text}\n"


def _count(causes: tuple[DivergenceCause, ...]) -> str:
    return "one cause" if len(causes) == 1 else f"{len(causes):,} causes"


def _print_diff(found: RunDiff) -> None:
    for line in found.lines:
        places = "".join("     " if place is None else f"{place:>5}" for place in (line.first, line.second))
        click.echo(f"{line.sign} {places}  {printable(line.event)}")
        if line.sign == "~":
            click.echo(f"{' ' * (len(places) + 4)}{printable(line.other)}")
    if found.is_same:
        click.echo(f"Both took the same {found.common:,} steps.")
