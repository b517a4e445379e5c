"""`python benchmarks/peers/run.py PEER CASE …`: how a peer's script is started in its own environment.

The script `dbos.py` must not hide the package `dbos`, so the folder of the scripts gives its place on the path to the
root of the checkout, from where `benchmarks` can be imported without anything being installed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    peer = importlib.import_module(f"benchmarks.peers.{sys.argv[1]}")
    two_processes = importlib.import_module("benchmarks.peers.two_processes")
    if sys.argv[2] == two_processes.CASE:
        two_processes.main(sys.argv[1], peer.opened, peer.stored, sys.argv[2:])
    else:
        peer.main(sys.argv[2:])
