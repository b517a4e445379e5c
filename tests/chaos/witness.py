"""What each process of a chaos run saw, in a file of its own: one line a `write`, appended, so that kill -9 loses none.

Instants are those of the machine's monotonic clock, which all its processes share. What is leased is a `Thing`: an instance
or an activity, by its key in the store.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec


class Kind(StrEnum):
    INSTANCE = "instance"
    ACTIVITY = "activity"


class Thing(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What a lease is on."""

    kind: Kind
    key: int
    instance_id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.key} of {self.instance_id}"


class Line(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: float = msgspec.field(default_factory=time.monotonic)


class Announced(Line, frozen=True, kw_only=True, tag=True):
    """A worker has begun under a key; its lease counts from no later than `asked_at`."""

    worker: int
    asked_at: float
    lease_seconds: float


class Beaten(Line, frozen=True, kw_only=True, tag=True):
    """A heartbeat was answered: the worker lives."""

    worker: int
    asked_at: float


class SignsOff(Line, frozen=True, kw_only=True, tag=True):
    """The worker asks the store to take all its leases back."""

    worker: int


class Leased(Line, frozen=True, kw_only=True, tag=True):
    """A task has come. An instance that a worker keeps in memory comes again and again under one token."""

    thing: Thing
    token: int
    worker: int
    asked_at: float
    parent: str | None = None


class GivesUp(Line, frozen=True, kw_only=True, tag=True):
    """The store is asked for what ends the lease."""

    thing: Thing
    token: int


class Asked(Line, frozen=True, kw_only=True, tag=True):
    """The store is asked to take a checkpoint. It may do so, and the answer reach nobody."""

    thing: Thing
    token: int


class Written(Line, frozen=True, kw_only=True, tag=True):
    """The store has taken a transition that was fenced by the token."""

    thing: Thing
    token: int
    asked_at: float
    ends: bool = False
    """It is the result of an activity, or of an instance."""
    is_fused: bool = False
    """The result of an activity, together with the checkpoint that it led to."""
    next_timer_at: float | None = None


class AttemptBegan(Line, frozen=True, kw_only=True, tag=True):
    """The activity's own function was called."""

    thing: Thing
    token: int
    name: str
    attempt: int


class AttemptEnded(Line, frozen=True, kw_only=True, tag=True):
    thing: Thing
    token: int


class Signalled(Line, frozen=True, kw_only=True, tag=True):
    """A client's signal is durable."""

    instance_id: str
    asked_at: float


class Told(Line, frozen=True, kw_only=True, tag=True):
    """A client that waited was told how an instance ended."""

    instance_id: str
    result: int


class Killed(Line, frozen=True, kw_only=True, tag=True):
    """The run is about to kill a process."""

    process: str


class HandsFree(Line, frozen=True, kw_only=True, tag=True):
    """A worker got less than it had asked for: when the store was asked, nothing more of the kind was to be had."""

    kind: Kind
    asked_at: float


class ServerGoes(Line, frozen=True, kw_only=True, tag=True):
    """The store's server is about to be stopped or killed."""


class ServerBack(Line, frozen=True, kw_only=True, tag=True):
    """The store's server, which had been stopped or killed, answers again."""


AnyLine = (
    Announced
    | Beaten
    | SignsOff
    | Leased
    | GivesUp
    | Asked
    | Written
    | AttemptBegan
    | AttemptEnded
    | Signalled
    | Told
    | Killed
    | HandsFree
    | ServerGoes
    | ServerBack
)


class Seen(msgspec.Struct, frozen=True):
    """A line, and which process wrote it."""

    process: str
    line: AnyLine


class Witness:
    """Writes lines. May be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def saw(self, line: AnyLine) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_witness(folder: Path) -> list[Seen]:
    """All that all processes saw, in order of time."""
    return in_order(Seen(path.stem, line) for path in folder.glob("*.jsonl") for line in _lines(path))


def in_order(seen: Iterable[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda each: each.line.at)


def _lines(path: Path) -> Iterator[AnyLine]:
    decoder: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line)
