"""One run, or one check, in a process of its own: `python -m benchmarks.one_run run|verify CASE URL SCALE`.

Prints one line of JSON: of a run its figures and settings, of a check what was looked at. SCALE is JSON too.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from benchmarks.case import Case, Scale
from benchmarks.registry import CASES
from benchmarks.stores import is_in_memory, kind_of
from benchmarks.stores.kind import check_promises


async def run(case: Case, store: str, scale: Scale) -> dict[str, Any]:
    """The run, with its check where nobody else can look into the store."""
    kind = kind_of(store)
    settings = await kind.settings(store)
    check_promises(kind, settings)
    measured = await case.run(store, **scale)
    outcome: dict[str, Any] = {
        "figures": {name: float(f"{value:.5g}") for name, value in measured.figures.items()},
        "settings": settings | measured.settings,
        "scale": dict(scale),
    }
    if is_in_memory(store):
        outcome["verified"] = await case.verify(store, **scale) | {"by": "the same process: the store ends with it"}
    return outcome


async def verify(case: Case, store: str, scale: Scale) -> dict[str, Any]:
    """The check of a store that a process has left behind."""
    return {"verified": await case.verify(store, **scale) | {"by": "a fresh process"}}


def main(what: str, case: str, store: str, scale: str) -> None:
    """Print the outcome as JSON."""
    do = run if what == "run" else verify
    print(json.dumps(asyncio.run(do(CASES[case], store, json.loads(scale)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
