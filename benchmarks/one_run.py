"""One run, or one check, in a process of its own: `python -m benchmarks.one_run run|verify URL COUNT IN_FLIGHT`."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks import throughput, verification


def main(what: str, url: str, count: str, in_flight: str) -> None:
    """Print the figures as JSON."""
    if what == "run":
        figures = asyncio.run(throughput.run(url, int(count), int(in_flight)))
    else:
        figures = asyncio.run(verification.verify(url, int(count)))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
