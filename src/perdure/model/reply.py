"""What is asked of an execution, and what comes back: data that no history has."""

from __future__ import annotations

import msgspec

from perdure.model.failure import Failure

LONGEST_ASKED = 2 * 1024 * 1024
"""Bytes of a query's arguments, or of its answer: they pass through the store, and are kept nowhere."""


class Query(msgspec.Struct, frozen=True, array_like=True):
    """A question to a workflow's handler. Its asker waits for so many seconds."""

    name: str
    arguments: bytes
    seconds: float


class _Reply(msgspec.Struct, frozen=True, array_like=True):
    pass


class Replied(_Reply, frozen=True, array_like=True, tag=1):
    """The handler returned."""

    result: bytes


class Raised(_Reply, frozen=True, array_like=True, tag=2):
    """The handler raised."""

    failure: Failure


class NotHandled(_Reply, frozen=True, array_like=True, tag=3):
    """The workflow has no handler of that name."""

    known: tuple[str, ...]


class Refused(_Reply, frozen=True, array_like=True, tag=4):
    """An update's validator raised, or its arguments don't fit."""

    failure: Failure


class Unreadable(_Reply, frozen=True, array_like=True, tag=5):
    """The execution can't be brought into memory: its code isn't what its history was made with, say."""

    failure: Failure


class Unfinished(_Reply, frozen=True, array_like=True, tag=6):
    """The execution ended while the update's handler ran."""


class AskAgain(_Reply, frozen=True, array_like=True, tag=7):
    """There is no answer yet: the execution hasn't begun."""


class Known(_Reply, frozen=True, array_like=True, tag=8):
    """The update was accepted earlier: its answer is, or will be, published."""


class NotKnown(_Reply, frozen=True, array_like=True, tag=9):
    """This execution has accepted no such update; one that stood in line before was refused."""


Reply = Replied | Raised | NotHandled | Refused | Unreadable | Unfinished | AskAgain | Known | NotKnown


def published_key(update_id: bytes) -> str:
    """Where the answer of an accepted update is published: it belongs to the instance, and outlasts the execution."""
    return f"perdure.update.{update_id.hex()}"
