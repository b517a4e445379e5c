"""A worker on a machine whose wall clock is wrong: `python -m tests.network.skewed_worker URL SECONDS`, or `jumps` for both."""

from __future__ import annotations

import sys
import time

_time_ns = time.time_ns


def _offset_seconds() -> float:
    if sys.argv[2] != "jumps":
        return float(sys.argv[2])
    return 3600.0 if int(time.monotonic() * 4) % 2 else -3600.0


time.time_ns = lambda: _time_ns() + round(_offset_seconds() * 1e9)
time.time = lambda: time.time_ns() / 1e9

import asyncio  # noqa: E402 - whoever keeps a name of the clock's gets the wrong one

from perdure.worker.worker import Worker  # noqa: E402
from tests.network.timed import app  # noqa: E402

if __name__ == "__main__":
    asyncio.run(Worker(sys.argv[1], app, lease=3).run_forever())
