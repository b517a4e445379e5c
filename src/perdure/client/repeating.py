"""Asking a store again when it couldn't be reached or its answer was lost.

Whatever a client writes carries an id that the store keeps, or is the same when done twice: so the repetition of a write
that did take place is success, not a duplicate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.errors import StoreUnavailable

T = TypeVar("T")

PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


async def repeat(ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` gives; asked again for some three seconds while it raises StoreUnavailable."""
    try:
        return await ask()
    except StoreUnavailable:
        return await _repeat_after_pauses(ask)


async def repeat_and_tell(ask: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
    """What `ask` gives, and whether it was asked more than once: an earlier one may have been carried out."""
    try:
        return await ask(), False
    except StoreUnavailable:
        return await _repeat_after_pauses(ask), True


async def _repeat_after_pauses(ask: Callable[[], Awaitable[T]]) -> T:
    *pauses, last = PAUSES_SECONDS
    for pause in pauses:
        await asyncio.sleep(pause)
        try:
            return await ask()
        except StoreUnavailable:
            continue
    await asyncio.sleep(last)
    return await ask()
