"""Where time and chance come from: everything else gets them handed in."""

from __future__ import annotations

import contextvars
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

Micros = int
"""Microseconds since 1970 in UTC, or a length of time in microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_entropy: contextvars.ContextVar[Callable[[int], bytes]] = contextvars.ContextVar("perdure_entropy", default=os.urandom)
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


def take_chance_from(dice: random.Random) -> None:
    """From here on, in this contextvars context, all chance follows from `dice`: a run can be repeated."""
    _entropy.set(dice.randbytes)
