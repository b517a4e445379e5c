"""Django views start workflows with their transactions, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_calls_itself() -> None:
    command = [sys.executable, "-W", "error", "-m", "examples.django_orders"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == [
        "POST {'id': 1}",
        "POST {'id': 2}",
        "POST 500",
        "GET {'parcel': 'a parcel with a cup'}",
        "GET {'parcel': 'a parcel with a spoon'}",
        "rows and workflows: 2 2",
    ], done.stderr
