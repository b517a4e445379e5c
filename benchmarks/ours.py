"""perdure as a contestant: one for each store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.case import Case
from benchmarks.one_run import is_shared
from benchmarks.outcome import Contestant, Outcome
from benchmarks.programs import ProgramFailed, output_of

STORES = ("sqlite:///{folder}/bench.db", "memory://bench")
"""Every store there is. {folder} is a fresh one for each run."""

_LIMIT_SECONDS = 1200.0


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """perdure on a store."""

    contestant: Contestant
    template: str

    def takes(self, case: Case) -> bool:
        """Whether the case makes sense on this store."""
        return self.contestant.store in case.stores

    def run(self, case: Case, round: int, folder: Path, *, is_quick: bool) -> Outcome:  # noqa: A002 - the word for it
        """A run and its check, each in a process of its own."""
        store = self.template.format(folder=folder)
        scale = json.dumps(dict(case.quick if is_quick else case.scale))
        try:
            found = _in_a_process("run", case.name, store, scale)
            if is_shared(store):
                found |= _in_a_process("verify", case.name, store, scale)
        except ProgramFailed as problem:
            return Outcome(case=case.name, contestant=self.contestant.name, round=round, skipped=f"FAILED: {problem}")
        return Outcome(case=case.name, contestant=self.contestant.name, round=round, **found)


def ours(template: str) -> Ours:
    """The contestant for a store's URL."""
    parts = urlsplit(template)
    kind = "sqlite" if is_shared(template) else "memory"
    name = f"perdure, {parts.scheme if kind != 'memory' else 'memory'}" + (f" {parts.query}" if parts.query else "")
    return Ours(contestant=Contestant(name=name, store=kind), template=template)


def _in_a_process(*arguments: str) -> dict[str, Any]:
    try:
        output = output_of([sys.executable, "-m", "benchmarks.one_run", *arguments], limit_seconds=_LIMIT_SECONDS)
    except ProgramFailed as problem:
        raise ProgramFailed(f"{arguments[0]}: {problem}") from problem
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
