"""Peers as contestants: other libraries that do the work of a case, each in its own virtual environment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from benchmarks.case import Case
from benchmarks.outcome import Contestant, Outcome
from benchmarks.programs import ProgramFailed, output_of
from benchmarks.stores import KINDS

_LIMIT_SECONDS = 120.0
_QUICK = 20
_FIGURES = ("rate", "p50_ms", "p99_ms", "seconds", "count", "cpu_us_per_unit", "commits_per_unit", "peak_rss_mb")


class Scale(Protocol):
    """How much of a case a peer does: peers differ by a factor of a thousand, and a round must end."""

    @property
    def count(self) -> int: ...
    @property
    def in_flight(self) -> int: ...


class Peer(Protocol):
    """What `benchmarks.peers` has for each peer."""

    @property
    def name(self) -> str: ...
    @property
    def program(self) -> str:
        """Whose environment it needs."""
        ...

    @property
    def cases(self) -> frozenset[str]:
        """The cases that it can do."""
        ...

    @property
    def durability(self) -> str: ...
    @property
    def beside(self) -> str:
        """The kind of store that it is compared with; if that one is a server, the peer is on the same one."""
        ...

    @property
    def differs(self) -> str: ...
    def scale(self, case: str) -> Scale: ...
    def command(self, case: str, *, count: int, in_flight: int, folder: Path, store: str) -> list[str]:
        """A program whose last line on stdout is JSON, with `verified` and figures of the names of ours."""
        ...


class Theirs:
    """A peer, on the server of a URL if it takes one. A case that failed once isn't tried again in the next round."""

    def __init__(self, peer: Peer, url: str = "") -> None:
        self.contestant = Contestant(
            name=peer.name, durability=peer.durability, beside=peer.beside, differs=peer.differs
        )
        self._peer = peer
        self._url = url
        self._hopeless: dict[str, str] = {}

    def takes(self, case: Case) -> bool:
        """Whether the peer can do this case."""
        return case.name in self._peer.cases

    def run(self, case: Case, round: int, folder: Path, *, is_quick: bool) -> Outcome:  # noqa: A002 - the word for it
        """A run; the peer's own program checks it."""
        asked = self._peer.scale(case.name)
        count = min(asked.count, _QUICK) if is_quick else asked.count
        in_flight = min(asked.in_flight, count)
        try:
            if case.name in self._hopeless:
                raise ProgramFailed(self._hopeless[case.name])
            found = self._answer(case.name, count, in_flight, folder)
        except ProgramFailed as problem:
            self._hopeless[case.name] = str(problem)
            return Outcome(case=case.name, contestant=self._peer.name, round=round, skipped=str(problem))
        return Outcome(
            case=case.name,
            contestant=self._peer.name,
            round=round,
            figures={name: float(found[name]) for name in _FIGURES if found.get(name) is not None},
            settings=found.get("settings", {}),
            scale={"count": count, "in_flight": in_flight},
            verified={"by": "its own program"},
        )

    def _answer(self, case: str, count: int, in_flight: int, folder: Path) -> dict[str, Any]:
        """On a store of its own, which goes afterwards."""
        kind = KINDS[self._peer.beside]
        store = asyncio.run(kind.fresh(self._url, folder, uuid4().hex[:12])) if self._url else ""
        try:
            command = self._peer.command(case, count=count, in_flight=in_flight, folder=folder, store=store)
            return _answer(output_of(command, limit_seconds=_LIMIT_SECONDS))
        finally:
            if store:
                asyncio.run(kind.drop(store))


def _answer(output: str) -> dict[str, Any]:
    """The last line. Raises ProgramFailed if it isn't what was agreed."""
    try:
        found: dict[str, Any] = json.loads((output.strip().splitlines() or [""])[-1])
    except ValueError as problem:
        raise ProgramFailed(f"its last line is no JSON: {problem}") from problem
    if not found.get("verified"):
        raise ProgramFailed("it did not find what it had counted")
    return found


def usable(
    peers: Mapping[str, Peer], urls: Mapping[str, str], ensure: Callable[[str], str | None]
) -> tuple[list[Theirs], dict[str, str]]:
    """Those that can run here, and why the others can't.

    `urls` has the servers, by the kind of store. `ensure` makes an environment, which may take minutes.
    """
    reasons = {name: ensure(peer.program) for name, peer in peers.items()}
    ready = [Theirs(peer, urls.get(peer.beside, "")) for name, peer in peers.items() if reasons[name] is None]
    return ready, {name: reason for name, reason in reasons.items() if reason is not None}
