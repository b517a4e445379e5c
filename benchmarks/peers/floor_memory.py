"""The floor with its database in memory: what is left when nothing is durable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.peers import floor, measure


@asynccontextmanager
async def opened(order: measure.Order) -> AsyncIterator[floor.Floor]:
    async with floor.opened_at(":memory:") as memory:
        yield memory


def stored(order: measure.Order) -> None:
    """There is no file."""


def main(words: list[str]) -> None:
    measure.main(opened, stored, words)
