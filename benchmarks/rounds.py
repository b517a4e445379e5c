"""Who runs when: within each round all contestants take a case in turn, so that noise of the machine hits all alike."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.case import Case
from benchmarks.machine import sync_milliseconds
from benchmarks.outcome import Contestant, Outcome


class Runner(Protocol):
    """A contestant that can be run."""

    @property
    def contestant(self) -> Contestant: ...
    def takes(self, case: Case) -> bool: ...
    def run(self, case: Case, round: int, folder: Path, *, is_quick: bool) -> Outcome:  # noqa: A002 - the word for it
        """One run in the given empty folder."""
        ...


def run_all(
    cases: Sequence[Case],
    runners: Sequence[Runner],
    *,
    rounds: int,
    is_quick: bool,
    folder: Path,
    tell: Callable[[Outcome], None],
    limit_seconds: float = math.inf,
) -> list[Outcome]:
    """Every run of every round; `tell` hears of each when it has ended. `folder` decides on which disk they are.

    A round isn't begun if it would end behind the limit, should its cases take as long as in the one before.
    """
    outcomes: list[Outcome] = []
    took: dict[str, float] = {}
    began = time.monotonic()
    for number in range(1, rounds + 1):
        coming = [case for case in cases if case.rounds is None or number <= case.rounds]
        if number > 1 and time.monotonic() - began + sum(took[case.name] for case in coming) > limit_seconds:
            break
        for case in coming:
            case_began = time.monotonic()
            for runner in runners:
                if runner.takes(case):
                    outcomes.append(_run(runner, case, number, is_quick=is_quick, folder=folder))
                    tell(outcomes[-1])
            took[case.name] = time.monotonic() - case_began
    return outcomes


def _run(runner: Runner, case: Case, number: int, *, is_quick: bool, folder: Path) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", dir=folder, ignore_cleanup_errors=True) as own:
        outcome = runner.run(case, number, Path(own), is_quick=is_quick)
        if outcome.figures:
            outcome.figures["disk_sync_ms"] = float(f"{sync_milliseconds(folder):.3g}")
        return outcome
