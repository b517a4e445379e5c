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
    importlib.import_module(f"benchmarks.peers.{sys.argv[1]}").main(sys.argv[2:])
