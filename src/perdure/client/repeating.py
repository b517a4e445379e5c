"""Asking a store again when it couldn't be reached or its answer was lost.

Whatever a client writes carries an id that the store keeps, or is the same when done twice: so the repetition of a write
that did take place is success, not a duplicate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.clock import new_dice
from perdure.errors import StoreUnavailable

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 1.6


async def repeat(ask: Callable[[], Awaitable[T]], *, patience_seconds: float = PATIENCE_SECONDS) -> T:
    """What `ask` gives; asked again for so long while it raises StoreUnavailable."""
    try:
        return await ask()
    except StoreUnavailable:
        return await _repeat_after_pauses(ask, patience_seconds)


async def repeat_and_tell(ask: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
    """What `ask` gives, and whether an earlier one may have been carried out."""
    is_repetition = False

    async def note() -> T:
        nonlocal is_repetition
        try:
            return await ask()
        except StoreUnavailable as problem:
            is_repetition = is_repetition or not problem.is_unwritten
            raise

    return await repeat(note), is_repetition


async def _repeat_after_pauses(ask: Callable[[], Awaitable[T]], patience_seconds: float) -> T:
    """Pauses grow, with jitter: when a server comes back, its clients don't all ask at one moment."""
    dice, longest, waited = new_dice(), _FIRST_SECONDS, 0.0
    while True:
        pause = longest * dice.uniform(0.5, 1.0)
        await asyncio.sleep(pause)
        waited += pause
        try:
            return await ask()
        except StoreUnavailable:
            if waited >= patience_seconds:
                raise
        longest = min(2 * longest, _LONGEST_SECONDS)
