"""Where time and chance come from: everything else gets them handed in."""

from __future__ import annotations

import contextvars
import os
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

Micros = int
"""Microseconds since 1970 in UTC, or a length of time in microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_POOLED = 256
_ID_BYTES = 16
_pool: deque[bytes] = deque()
"""The system's random bytes, in pieces: a call of the system for each id would hand the GIL over each time."""
if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_pool.clear)


def _pooled_bytes(count: int) -> bytes:
    """Up to 16 of them. Safe on any thread: each piece is popped once."""
    try:
        piece = _pool.popleft()
    except IndexError:
        fresh = os.urandom(_POOLED * _ID_BYTES)
        _pool.extend(fresh[at : at + _ID_BYTES] for at in range(_ID_BYTES, len(fresh), _ID_BYTES))
        piece = fresh[:_ID_BYTES]
    return piece if count == _ID_BYTES else piece[:count]


_entropy: contextvars.ContextVar[Callable[[int], bytes]] = contextvars.ContextVar(
    "perdure_entropy", default=_pooled_bytes
)
"""Gives so many random bytes. A simulation sets another one, for all that runs in its context."""


class Clock(Protocol):
    """The time of day and a clock that never goes back."""

    def now(self) -> Micros:
        """The time of day; it may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> Micros:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


def to_datetime(at: Micros) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=at)


def to_micros(at: datetime) -> Micros:
    """The instant of an aware datetime; naive ones are refused with ValueError."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone: pass an aware datetime, such as datetime(…, tzinfo=UTC)")
    return (at - _EPOCH) // _MICROSECOND


def duration_micros(duration: timedelta | float) -> Micros:
    """A length of time, given as a timedelta or in seconds, in microseconds."""
    if isinstance(duration, timedelta):
        return duration // _MICROSECOND
    return round(duration * 1_000_000)


def random_id() -> bytes:
    """A new 128-bit id."""
    return _entropy.get()(16)


def random_token() -> int:
    """A new fencing token: 63 random bits, never a counter (a counter repeats after a failover)."""
    return int.from_bytes(_entropy.get()(8)) >> 1


def new_dice() -> random.Random:
    """A generator of its own, for jitter."""
    return random.Random(_entropy.get()(16))


def take_chance_from(dice: random.Random) -> Callable[[], object]:
    """From here on, in this contextvars context, all chance follows from `dice`: a run can be repeated. Call what it gives to end it."""
    before = _entropy.get()
    _entropy.set(dice.randbytes)
    return lambda: _entropy.set(before)
