"""The report for machines: every run, raw, with the facts of the machine, and the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.outcome import Contestant, Outcome
from benchmarks.report.summary import Row


def to_json(
    machine: Mapping[str, Any],
    contestants: Sequence[Contestant],
    outcomes: Sequence[Outcome],
    rows: Sequence[Row],
) -> str:
    """Readable JSON; the same fields from version to version, so that runs can be compared."""
    report = {"machine": machine, "contestants": contestants, "runs": outcomes, "summary": rows}
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
