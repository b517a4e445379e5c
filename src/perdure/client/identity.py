"""The ids that a client makes: drawn once per request, or derived from an idempotency key.

A repeated write with the same id is the same write (B4). Derived ids are scoped by what they are about, so that one key
can name a start of `checkout`, another one of `ship`, and a signal, without their getting mixed up.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

from perdure.clock import Clock, random_id

_RANDOM_BITS = (1 << 80) - 1


def draw_instance_id(clock: Clock) -> str:
    """A new id of 32 hex digits in the layout of UUID version 7: ids that are drawn later sort later.

    Sorted ids keep the indexes of SQL stores compact; uuid4's would touch a random page for each start.
    """
    milliseconds = clock.now() // 1000
    drawn = (milliseconds << 80) | (int.from_bytes(random_id()) & _RANDOM_BITS)
    drawn = drawn & ~(0xF << 76) | (0x7 << 76)
    drawn = drawn & ~(0b11 << 62) | (0b10 << 62)
    return f"{drawn:032x}"


def derived_id(purpose: Literal["instance", "start", "activity", "signal", "update"], *parts: str | bytes) -> bytes:
    """The 128-bit id that follows from the parts; each is written with its length, so that none runs into the next."""
    digest = blake2b(digest_size=16, person=b"perdure " + purpose.encode())
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8))
        digest.update(raw)
    return digest.digest()
