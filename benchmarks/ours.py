"""perdure as a contestant: one for each store."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from benchmarks.case import Case
from benchmarks.outcome import Contestant, Outcome
from benchmarks.programs import ProgramFailed, output_of
from benchmarks.stores import KINDS, Kind, is_in_memory, kind_of

_LIMIT_SECONDS = 1200.0


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """perdure on a store."""

    contestant: Contestant
    kind: Kind
    url: str

    def takes(self, case: Case) -> bool:
        """Whether the case makes sense on this store."""
        return self.contestant.store in case.stores

    def run(self, case: Case, round: int, folder: Path, *, is_quick: bool) -> Outcome:  # noqa: A002 - the word for it
        """A run and its check, each in a process of its own, on a store of its own."""
        store = asyncio.run(self.kind.fresh(self.url, folder, uuid4().hex[:12]))
        scale = json.dumps(dict(case.quick if is_quick else case.scale_on(self.kind.name)))
        try:
            found = _in_a_process("run", case.name, store, scale)
            if not is_in_memory(store):
                found |= _in_a_process("verify", case.name, store, scale)
        except ProgramFailed as problem:
            return Outcome(case=case.name, contestant=self.contestant.name, round=round, skipped=f"FAILED: {problem}")
        finally:
            asyncio.run(self.kind.drop(store))
        return Outcome(case=case.name, contestant=self.contestant.name, round=round, **found)


def ours(url: str) -> Ours:
    """The contestant for a store's URL. Raises ValueError."""
    kind, query = kind_of(url), urlsplit(url).query
    name = f"perdure, {kind.name}" + (f" {query}" if query else "")
    return Ours(contestant=Contestant(name=name, store=kind.name), kind=kind, url=url)


def on_stores(names: Sequence[str]) -> tuple[list[Ours], dict[str, str]]:
    """The contestants on these kinds of stores, and why others can't be had. Raises KeyError."""
    urls = {name: KINDS[name].url() for name in names}
    reasons = {name: f"nobody says where it is: {_variable(name)} isn't set" for name, url in urls.items() if not url}
    return [ours(url) for url in urls.values() if url], reasons


def _variable(name: str) -> str:
    return f"PERDURE_TEST_{name.upper().replace('-', '_')}"


def _in_a_process(*arguments: str) -> dict[str, Any]:
    try:
        output = output_of([sys.executable, "-m", "benchmarks.one_run", *arguments], limit_seconds=_LIMIT_SECONDS)
    except ProgramFailed as problem:
        raise ProgramFailed(f"{arguments[0]}: {problem}") from problem
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
