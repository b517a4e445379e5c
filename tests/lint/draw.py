"""Draws findings from code that isn't ours, to be judged by hand; every async function is taken for a workflow.

python -m tests.lint.draw [--seed 2026] [--count 50] PATH…
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from pathlib import Path

from perdure.lint.findings import Finding
from perdure.lint.linter import lint


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("paths", nargs="+", type=Path)
    given = parser.parse_args()
    gc.set_threshold(200_000, 20, 100)  # as the command line does
    begun_at, used = time.monotonic(), time.process_time()
    findings = lint(given.paths, every_async=True)
    print(f"{len(findings)} findings, {time.monotonic() - begun_at:.0f} s, {time.process_time() - used:.0f} s of CPU")
    for number, finding in enumerate(random.Random(given.seed).sample(findings, given.count), 1):
        show(number, finding)


def show(number: int, finding: Finding) -> None:
    way = " > ".join(step.function for step in finding.calls)
    print(f"\n{number}. {finding.path}:{finding.line}: {finding.code} {finding.message}", f"   {way}", sep="\n")
    lines = finding.path.read_text(errors="replace").splitlines()
    for line in range(max(finding.line - 3, 0), min(finding.line + 2, len(lines))):
        print(f"   {'>' if line == finding.line - 1 else ' '} {lines[line]}")


if __name__ == "__main__":
    main()
