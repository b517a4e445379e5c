"""The command: see the package."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterable

from perdure.testing.simulation.many import run_seeds
from perdure.testing.simulation.run import simulate


def main() -> int:
    """0 if all went well, 1 if a seed shows a fault."""
    options = _options()
    if options.seed is not None:
        return _run_one(options.seed)
    if options.forever:
        return _run_many(itertools.count(options.first), options.processes, stops_at_fault=True)
    return _run_many(range(options.first, options.first + options.seeds), options.processes, stops_at_fault=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perdure.testing.simulation", description=main.__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seed", type=int, help="run this one, and print its trace")
    what.add_argument("--seeds", type=int, default=1000, help="run so many (1000)")
    what.add_argument("--forever", action="store_true", help="run until a fault is found, or you stop it")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--processes", type=int, help="on so many processes (one per core)")
    return parser.parse_args()


def _run_one(seed: int) -> int:
    report = simulate(seed)
    print("\n".join(report.trace.lines()))
    print(
        f"\nseed {seed}: {report.instances} instances, {report.attempts} attempts of activities, trace {report.trace.digest()}"
    )
    for violation in report.violations:
        print(f"- {violation}")
    print("all is well" if not report.violations else f"{len(report.violations)} violations")
    return 1 if report.violations else 0


def _run_many(seeds: Iterable[int], processes: int | None, *, stops_at_fault: bool) -> int:
    begun, done, failed, lost = time.monotonic(), 0, 0, 0
    said = ""
    try:
        for progress in run_seeds(seeds, processes):
            done += progress.seeds
            lost += progress.workers_lost
            failed += len(progress.failures)
            for failure in progress.failures:
                print(f"{failure}\n", flush=True)
            rate = done / (time.monotonic() - begun)
            said = f"{done} seeds, {failed} with faults, {lost} workers lost, {rate:.0f} seeds/s"
            if sys.stderr.isatty():
                print(f"\r{said}", end="", file=sys.stderr)
            if failed and stops_at_fault:
                break
    except KeyboardInterrupt:
        pass
    print(f"\r{said}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
