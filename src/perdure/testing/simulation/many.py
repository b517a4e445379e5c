"""Many seeds, on several processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

import msgspec

from perdure.testing.simulation.run import simulate

_AT_ONCE = 25
"""Seeds per order to a process."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A seed that shows a fault."""

    seed: int
    violations: tuple[str, ...]
    trace: tuple[str, ...]
    """Its last part, up to the first violation."""

    def __str__(self) -> str:
        said = "\n".join(f"- {each.strip()}" for each in self.violations[:5])
        return (
            "\n".join(self.trace)
            + f"\n\nseed {self.seed}: {len(self.violations)} violations\n{said}\n\nrepeat it: {command(self.seed)}"
        )


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a few seeds came to."""

    seeds: int
    failures: tuple[Failure, ...] = ()
    virtual_seconds: float = 0.0
    instances: int = 0
    attempts: int = 0
    workers_lost: int = 0


def command(seed: int) -> str:
    """What repeats a run."""
    return f"python -m perdure.testing.simulation --seed {seed}"


def run_seeds(seeds: Iterable[int], processes: int | None = None) -> Iterator[Progress]:
    """Run them all, in chunks; what each came to, as they end. Without end if the seeds are."""
    count = processes or os.cpu_count() or 1
    chunks = _chunks(iter(seeds))
    # Not forked: the parent may have threads.
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(run_chunk, chunk) for chunk in islice(chunks, 2 * count)]
        while running:
            yield running.pop(0).result()
            running += [pool.submit(run_chunk, chunk) for chunk in islice(chunks, 1)]


def run_chunk(seeds: tuple[int, ...], lines: int = 60) -> Progress:
    """Run these, one after the other."""
    failures: list[Failure] = []
    seconds, instances, attempts, lost = 0.0, 0, 0, 0
    for seed in seeds:
        report = simulate(seed)
        seconds += report.seconds
        instances += report.instances
        attempts += report.attempts
        lost += report.workers_lost
        if report.violations:
            trace = tuple(report.trace.until_first_violation(lines))
            failures.append(Failure(seed=seed, violations=report.violations, trace=trace))
    gc.collect()
    return Progress(
        seeds=len(seeds),
        failures=tuple(failures),
        virtual_seconds=seconds,
        instances=instances,
        attempts=attempts,
        workers_lost=lost,
    )


def _chunks(seeds: Iterator[int]) -> Iterator[tuple[int, ...]]:
    while chunk := tuple(islice(seeds, _AT_ONCE)):
        yield chunk
