"""The App of a chaos run, and what each of its instances must give.

Every kind of wait that a worker's death can fall into: activities that run in threads and on the loop, short and long ones,
with and without a failed first attempt; sub-workflows; timers; a signal; continue-as-new.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta

import msgspec

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.activities.token import ActivityToken
from perdure.app import App
from perdure.model.retry import RetryPolicy
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.chaos.witness import AttemptBegan, AttemptEnded, Kind, Thing, Witness

_SOON = RetryPolicy(initial_interval=timedelta(milliseconds=100))

approval = Signal("approval", int)


class Receipt(msgspec.Struct, frozen=True):
    """A result, and the attempt that gave it: so histories tell whose result was recorded."""

    value: int
    activity_key: int
    token: int


class TooEarly(Exception):
    """Raised on purpose, by first attempts."""


class Desk:
    """Activities, under the eyes of a witness."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    @activity(retry=_SOON)
    async def price(self, number: int, chapter: int) -> Receipt:
        with self._attempt() as receipt:
            await asyncio.sleep(_long(number, 7))
            return receipt(price_of(number, chapter))

    @activity(retry=_SOON)
    def pack(self, number: int, chapter: int) -> Receipt:
        with self._attempt() as receipt:
            time.sleep(_long(number, 11))
            return receipt(chapter)

    @activity(retry=_SOON)
    async def ship(self, number: int) -> Receipt:
        with self._attempt() as receipt:
            if number % 3 == 0 and activity_context().attempt == 1:
                raise TooEarly("tried again")
            return receipt(number)

    @contextmanager
    def _attempt(self) -> Iterator[Callable[[int], Receipt]]:
        context = activity_context()
        token = ActivityToken.parse(context.token)
        thing = Thing(Kind.ACTIVITY, token.activity_key, context.instance_id)
        began = AttemptBegan(thing=thing, token=token.token, name=token.name, attempt=context.attempt)
        self._witness.saw(began)
        try:
            yield lambda value: Receipt(value, token.activity_key, token.token)
        finally:
            self._witness.saw(AttemptEnded(thing=thing, token=token.token))


@workflow
async def parcel(ctx: Context, number: int) -> int:
    """A sub-workflow."""
    await ctx.sleep(0.05 * (number % 5))
    return (await ctx.execute_activity(Desk.ship, number)).value


@workflow
async def order(ctx: Context, number: int, total: int = 0, chapter: int = 1) -> int:
    priced = ctx.execute_activity(Desk.price, number, chapter)
    packed = ctx.execute_activity(Desk.pack, number, chapter)
    total += (await priced).value + (await packed).value
    child = parcel.with_options(instance_id=parcel_id(ctx.info.instance_id, chapter))
    shipped = ctx.execute_sub_workflow(child, number)
    await ctx.sleep(0.1 * (number % 13))
    total += await shipped
    if chapter < chapters_of(number):
        ctx.continue_as_new(order, number, total, chapter + 1)
    return total + await ctx.signal_channel(approval).receive()


def _long(number: int, every: int) -> float:
    """Seconds: at times long enough that a kill finds many at work, yet hardly ever five of them the same one (WorkerLost)."""
    return 0.25 if number % every == 0 else 0.01


def order_id(run: str, number: int) -> str:
    return f"{run}-{number}"


def parcel_id(order: str, chapter: int) -> str:
    return f"{order}-parcel-{chapter}"


def chapters_of(number: int) -> int:
    return 2 if number % 5 == 0 else 1


def price_of(number: int, chapter: int) -> int:
    return 100 * number + chapter


def approval_of(number: int) -> int:
    return 7 * number


def expected_results(run: str, count: int) -> dict[str, int]:
    """Of all instances of a run, by id."""
    results: dict[str, int] = {}
    for number in range(count):
        chapters = range(1, chapters_of(number) + 1)
        total = sum(price_of(number, chapter) + chapter + number for chapter in chapters)
        results[order_id(run, number)] = total + approval_of(number)
        results |= {parcel_id(order_id(run, number), chapter): number for chapter in chapters}
    return results


def make_app(witness: Witness | None) -> App:
    """Without a witness for clients, which run nothing."""
    if witness is None:
        return App(workflows=[order, parcel])

    @asynccontextmanager
    async def desk() -> AsyncIterator[Desk]:
        yield Desk(witness)

    lifespan: Callable[[], AbstractAsyncContextManager[Desk]] = desk
    return App(workflows=[order, parcel], lifespan=lifespan)
