"""What worker processes run: activities that note in a file when they begin and end, and in which process."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import msgspec

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow

FULL_HOUSES = 6


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the file. Lines are in the order of what happened, whatever the process."""

    is_begin: bool
    activity: str
    attempt: str
    queue: str
    pid: int
    at: float


def note(log: Path, *, is_begin: bool) -> None:
    context = activity_context()
    line = Note(
        is_begin=is_begin,
        activity=context.idempotency_key,
        attempt=context.token,
        queue=context.queue,
        pid=os.getpid(),
        at=time.time(),
    )
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, msgspec.json.encode(line) + b"\n")
    finally:
        os.close(file)


def read_notes(log: Path) -> list[Note]:
    return [msgspec.json.decode(line, type=Note) for line in log.read_bytes().splitlines()]


@activity
async def busy(log: Path, seconds: float, full_house: int = 0) -> None:
    """With a `full_house`, the first ones end when as many run at once, then the next: nobody has to be quick."""
    note(log, is_begin=True)
    await asyncio.sleep(seconds)
    while full_house and not has_had_a_full_house(log, full_house):
        await asyncio.sleep(0.01)
    note(log, is_begin=False)


def has_had_a_full_house(log: Path, size: int) -> bool:
    """Whether this activity was one of so many at once; the later ones needn't be."""
    begun = list(dict.fromkeys(each.activity for each in read_notes(log) if each.is_begin))
    house = begun.index(activity_context().idempotency_key) // size
    return house >= FULL_HOUSES or len(begun) >= (house + 1) * size


@workflow
async def in_a_row(ctx: Context, log: Path, queue: str, number: int, seconds: float, full_house: int = 0) -> None:
    """Each next one comes back with the commit of the one before."""
    for _ in range(number):
        await ctx.execute_activity(busy.with_options(queue=queue), log, seconds, full_house)


@workflow
async def side_by_side(ctx: Context, log: Path, queue: str, number: int, seconds: float, full_house: int = 0) -> None:
    on_queue = busy.with_options(queue=queue)
    await asyncio.gather(*(ctx.execute_activity(on_queue, log, seconds, full_house) for _ in range(number)))


app = App(workflows=[in_a_row, side_by_side], activities=[busy])
