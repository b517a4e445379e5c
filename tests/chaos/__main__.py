"""`python -m tests.chaos URL --instances 2000 --workers 4 --seconds 60`: a chaos run on any store, and its report."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.fleet import LockedFile, Server, Service
from tests.chaos.run import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--instances", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long workers are killed")
    parser.add_argument("--kill-every", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--lease", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--freeze-every", type=float, metavar="SECONDS", help="SIGSTOP for longer than a lease")
    parser.add_argument(
        "--patience", type=float, default=90.0, metavar="SECONDS", help="for the rest, when nobody is killed"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--server", metavar="NAME", help="as scripts/services calls it, with $PERDURE_SERVICES_FOLDER set"
    )
    parser.add_argument("--restart-server-at", type=float, metavar="SECONDS")
    parser.add_argument("--kill-server-at", type=float, metavar="SECONDS")
    parser.add_argument("--server-away", type=float, default=2.0, metavar="SECONDS", help="after it was killed")
    asked = parser.parse_args()
    plan = Plan(
        instances=asked.instances,
        workers=asked.workers,
        seconds=asked.seconds,
        kill_every=asked.kill_every,
        lease_seconds=asked.lease,
        freeze_every=asked.freeze_every,
        server_restart_at=asked.restart_server_at,
        server_kill_at=asked.kill_server_at,
        server_away_seconds=asked.server_away,
        seed=asked.seed,
        patience_seconds=asked.patience,
    )
    folder = Path(tempfile.mkdtemp(prefix="perdure-chaos-"))
    print(f"logs and witness: {folder}", flush=True)
    report = asyncio.run(run(asked.url, folder, plan, _server_of(asked.url, asked.server)))
    print(report)
    return 1 if report.problems else 0


def _server_of(url: str, name: str | None) -> Server | None:
    if url.startswith("sqlite:///"):
        return LockedFile(Path(url.removeprefix("sqlite:///").partition("?")[0]))
    return Service(name) if name else None


if __name__ == "__main__":
    sys.exit(main())
