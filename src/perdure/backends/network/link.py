"""What a database behind a network gives, as three connections: one that writes, one that reads, one that listens.

Many processes write at once, and none waits for another's rows: a row is written only if it still has the *revision* that was
read, and else the whole batch is a `Conflict`: nothing was written, and the writer reads again what it had and applies the
batch once more. So a row that was read before may be used without reading it again, and a batch is written by one round trip.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from perdure.backends.looking import Looking
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.office import Office
from perdure.backends.unit.tables import Tables
from perdure.clock import Micros


class Conflict(Exception):
    """Somebody else has changed a row since it was read, or taken an id: nothing was written."""


class Link(Protocol):
    """The connection that writes. Blocks; belongs to one thread."""

    @property
    def tables(self) -> Tables: ...

    @property
    def office(self) -> Office | None:
        """Of a store with several partitions, once it is open."""
        ...

    def open(self) -> None:
        """Connect, judge the server's settings, bring the schema up to date. Raises StoreError, or the driver's errors."""
        ...

    def close(self) -> None:
        """Let go of the connection, however it is. Raises nothing. It may be opened again."""
        ...

    def commit(self, changes: Changes) -> None:
        """Write what is left of the batch and make it durable. Raises Conflict, or the driver's errors."""
        ...

    def roll_back(self) -> None:
        """Let go of what the batch has written. Raises nothing."""
        ...

    def now(self) -> Micros:
        """The server's time."""
        ...

    @property
    def why_locked(self) -> str:
        """What is the matter with a row that stays locked, and what to do."""
        ...

    def is_conflict(self, problem: BaseException) -> bool:
        """Whether it is a Conflict, or what the driver raises for one: the same may succeed at once."""
        ...

    def is_locked(self, problem: BaseException) -> bool:
        """Whether somebody else keeps a row locked, in an open transaction."""
        ...

    def locked(self, ids: Sequence[str], instance_keys: Sequence[int], activity_keys: Sequence[int]) -> set[str | int]:
        """Which of these rows somebody else keeps locked; waits for none of them. Raises the driver's errors."""
        ...

    def is_lost(self, problem: BaseException) -> bool:
        """Whether the connection is gone, or the server can't serve anybody now."""
        ...

    def translated(self, problem: BaseException) -> BaseException:
        """The StoreError that says the same, a new one each time; what isn't the driver's stays as it is."""
        ...


class Looker(Protocol):
    """The connection that reads. Blocks; belongs to one thread."""

    @property
    def looking(self) -> Looking: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def is_lost(self, problem: BaseException) -> bool: ...

    def translated(self, problem: BaseException) -> BaseException: ...


class Herald(Protocol):
    """The connection that tells other processes. Blocks; belongs to one thread."""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def notify(self, notice: bytes) -> None:
        """Tell who listens; a notice may get lost."""
        ...


class Listener(Protocol):
    """The connection that listens. Blocks; belongs to one thread."""

    def listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        """Tell of each notice of other processes, until it is over; None is told when listening begins.

        Returns soon after it is over. Raises whatever ends listening before.
        """
        ...


class Network(Protocol):
    """How to reach a store."""

    @property
    def key(self) -> str:
        """Handles whose networks have the same key share their connections. Secrets are part of it."""
        ...

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        ...

    def link(self) -> Link: ...

    def looker(self) -> Looker: ...

    def herald(self) -> Herald | None:
        """None if notices can't be had: the store is polled, more often."""
        ...

    def listener(self) -> Listener | None: ...
