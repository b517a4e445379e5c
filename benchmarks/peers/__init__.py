"""Other engines, and a measuring stick, that run the same cases in the same run: each in an environment of its own."""

from benchmarks.peers.catalogue import CASES, PEERS, Peer, Scale

__all__ = ["CASES", "PEERS", "Peer", "Scale"]
