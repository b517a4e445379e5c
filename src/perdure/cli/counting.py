"""`watch` for many: how far the instances of a filter are, until none of them runs."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping

import click
import msgspec

from perdure.cli.ending import EXIT_CODES
from perdure.cli.live import Draw, has_picture, picture
from perdure.cli.opening import opened_client
from perdure.cli.shown import as_data
from perdure.cli.tables import Line, print_json_line
from perdure.client.client import Client
from perdure.client.filters import Filters
from perdure.model.instance import State
from perdure.serialization.payloads import Payloads
from perdure.workflows.scheduling import WORKFLOW as SCHEDULE

_PAUSE_SECONDS = 1.0
_BAR = 40


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How far they are."""

    states: Mapping[State, int]
    ended: int
    total: int
    stuck: int


def watch_many(store: str | None, filters: Filters, *, as_json: bool) -> None:
    """The exit code is the highest of theirs."""

    async def main() -> Counts:
        async with opened_client(store) as client:
            if as_json or not has_picture():
                return await _follow(client, filters, _Lines(as_json=as_json))
            with picture() as draw:
                return await _follow(client, filters, _Picture(draw))

    counts = asyncio.run(main())
    if not counts.total:
        click.echo("No instance matches.", err=True)
    sys.exit(max((EXIT_CODES[state] for state in counts.states), default=0))


async def _follow(client: Client, filters: Filters, told: _Lines | _Picture) -> Counts:
    while True:
        counts = await _count(client, filters)
        told(counts)
        if counts.ended == counts.total:
            return counts
        await asyncio.sleep(_PAUSE_SECONDS)


async def _count(client: Client, filters: Filters) -> Counts:
    states = await client.count(**filters)
    if "workflow" not in filters:  # a schedule never ends by itself: whoever means a queue waits for its runs
        schedules: Filters = {**filters, "workflow": SCHEDULE}
        states = dict(Counter(states) - Counter(await client.count(**schedules)))
    those_stuck: Filters = {**filters, "stuck": True}
    stuck = await client.count(**those_stuck)
    total = sum(states.values())
    return Counts(states=states, ended=total - states.get(State.RUNNING, 0), total=total, stuck=sum(stuck.values()))


class _Lines:
    """A line for each change."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last: Counts | None = None

    def __call__(self, counts: Counts) -> None:
        if counts == self._last:
            return
        self._last = counts
        if self._as_json:
            print_json_line({"counts": as_data(counts, Payloads())})
        elif counts.total:
            click.echo(_told(counts))


class _Picture:
    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def __call__(self, counts: Counts) -> None:
        done = _BAR * counts.ended // max(counts.total, 1)
        bar: Line = [("█" * done, "green"), ("░" * (_BAR - done), "dim"), ("  ", ""), (_told(counts), "")]
        self._draw([bar])


def _told(counts: Counts) -> str:
    parts = [f"{count:,} {state}" for state, count in counts.states.items()]
    if counts.stuck:
        parts.append(f"{counts.stuck:,} stuck")
    return f"{counts.ended:,} of {counts.total:,} ended: {', '.join(parts)}"
