"""Who runs which activity when, as the activities themselves see it.

An attempt may run twice, if a worker is lost; but never on two machines at once that are awake and know of their leases: a
worker stops before its lease can be over (B3, K2).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from random import Random

from perdure.activities.context import ActivityContext
from perdure.testing.simulation.loop import Host, current_host
from perdure.testing.simulation.programs import Errand
from perdure.testing.simulation.trace import Trace

_current: contextvars.ContextVar[Ledger] = contextvars.ContextVar("perdure_simulated_ledger")


def current_ledger() -> Ledger:
    """The ledger of the simulation that runs."""
    return _current.get()


def set_ledger(ledger: Ledger) -> None:
    """Make it the current one, in this contextvars context."""
    _current.set(ledger)


class Ledger:
    """The record of one simulation."""

    def __init__(self, trace: Trace, dice: Random) -> None:
        self._trace = trace
        self._dice = dice
        self._running: dict[str, list[Host]] = {}
        self._tokens: set[str] = set()
        self.starts: Counter[str] = Counter()
        """By activity and attempt."""
        self.handed_over: asyncio.Queue[tuple[str, Errand]] = asyncio.Queue()
        """What is to be completed from outside, by its token."""

    @contextmanager
    def running(self, context: ActivityContext) -> Generator[None]:
        """The activity runs here, in this block."""
        host = current_host()
        assert host is not None
        self._begin(context, host)
        hosts = self._running.setdefault(context.idempotency_key, [])
        hosts.append(host)
        try:
            yield
        finally:
            hosts.remove(host)

    def _begin(self, context: ActivityContext, host: Host) -> None:
        key = context.idempotency_key
        self.starts[f"{key} {context.attempt}"] += 1
        self._trace.note(host.name, "begins", key[-12:], f"attempt {context.attempt}")
        if context.token in self._tokens:
            self._trace.violated(f"one lease of activity {key} was begun twice")
        self._tokens.add(context.token)
        awake = [other.name for other in self._running.get(key, ()) if not other.is_frozen]
        if awake:
            self._trace.violated(f"activity {key} runs on {awake} and on {host.name} at once, and all are awake")

    def draw(self) -> int:
        """A number that nobody could know."""
        return self._dice.getrandbits(32)
