"""The gate on a large store: `pytest -m soak tests/replay/test_ten_thousand.py -s` also says how long it takes, and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import stores
from tests.replay import programs
from tests.replay.filling import fill

pytestmark = pytest.mark.soak
ROOT = Path(__file__).parents[2]
COUNT = 10_000


@pytest.mark.parametrize("kind", stores.as_parameters(("sqlite", "postgresql", "redis")))
async def test_every_affected_instance_of_ten_thousand_is_named_and_no_other(
    kind: str, empty_store: Callable[[str], str]
) -> None:
    small, large = empty_store(kind), empty_store(kind)
    await fill(small, 100)
    await fill(large, COUNT)
    affected = [f"far-{number:05}" for number in range(COUNT // 2)]
    _, _, small_kb, _ = replay("deploys.swapped", small)

    for target, expected in (  # the first one is the code that made them
        ("app", []),
        *((f"deploys.{changed.function.__name__}", affected) for changed in programs.CHANGED),
    ):
        found, replayed, peak_kb, seconds = replay(target, large)

        print(
            f"{kind}, {target}: {replayed:,} in {seconds:.1f} s, {peak_kb / 1024:.0f} MB; of 110: {small_kb / 1024:.0f} MB"
        )
        assert (replayed, found) == (COUNT + COUNT // 10, expected)
        assert peak_kb - small_kb < 30 * 1024, "what is replayed is forgotten"


def replay(target: str, url: str) -> tuple[list[str], int, int, float]:
    """What `perdure replay --json` names, how many it replayed, its peak of memory in kB and its time."""
    began_at = time.perf_counter()
    command = [sys.executable, "-c", _WITH_PEAK, "replay", f"tests.replay.programs:{target}", "--json"]
    environment = {**os.environ, "PERDURE_STORE": url, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began_at
    report = json.loads(result.stdout)
    found = sorted(each for cause in report["causes"] for each in cause["instance_ids"])
    return found, report["replayed"], int(result.stderr.split()[-2]), seconds


_WITH_PEAK = """
from perdure.cli import main
try:
    main()
finally:
    import sys
    sys.stderr.write(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
