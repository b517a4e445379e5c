"""What goes wrong in one run, in words that a command line can carry."""

from __future__ import annotations

import enum
import os
import shlex
import sys
from random import Random
from typing import Self

import msgspec

from perdure.errors import ConfigurationError

VARIABLE = "PERDURE_TROUBLE"
"""Of the environment: the one trouble to run with, as it is written in a report."""
SEED_VARIABLE = "PERDURE_SEED"
"""Of the environment: the seed, whatever the test says."""


class Kind(enum.StrEnum):
    """Of trouble. `number` is that of a commit for the first three, of an order for the last but one."""

    BEFORE = "before"
    """The worker crashes before a commit: what it has done since the last one is lost."""
    AFTER = "after"
    """The worker crashes after a commit: what that made ready hasn't begun."""
    CANCEL = "cancel"
    """All running instances are cancelled after a commit."""
    EVICT = "evict"
    """No execution stays in memory."""
    TWICE = "twice"
    """All that a worker writes is delivered twice."""
    SHUFFLE = "shuffle"
    """Activities begin, end and are recorded late, in another order."""
    NONE = "none"


class Trouble(msgspec.Struct, frozen=True):
    """Of one run."""

    kind: Kind = Kind.NONE
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}" if self.number else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ConfigurationError."""
        kind, _, number = text.partition(":")
        try:
            return cls(Kind(kind), int(number or 0))
        except ValueError:
            raise ConfigurationError(f"{VARIABLE}={text!r} names no trouble, such as before:3 or shuffle:17") from None

    @classmethod
    def asked_for(cls) -> Self | None:
        """By the environment."""
        text = os.environ.get(VARIABLE)
        return cls.parse(text) if text else None

    def command(self, seed: int) -> str:
        """Runs the test again with this trouble alone, and the same chance."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        words = ["python", "-m", "pytest", test] if test else ["python", *sys.orig_argv[1:]]
        return f"{SEED_VARIABLE}={seed} {VARIABLE}={self} {shlex.join(words)}"


def seed_asked_for() -> int | None:
    """By the environment. Raises ConfigurationError."""
    text = os.environ.get(SEED_VARIABLE)
    try:
        return int(text) if text else None
    except ValueError:
        raise ConfigurationError(f"{SEED_VARIABLE}={text!r} must be a whole number") from None


def some(troubles: list[Trouble], most: int, dice: Random) -> list[Trouble]:
    """Up to so many of them, in their order."""
    if len(troubles) <= most:
        return troubles
    return [troubles[place] for place in sorted(dice.sample(range(len(troubles)), most))]
