"""Other engines, and a measuring stick, that run the same cases in the same run: each in an environment of its own."""

from benchmarks.peers.catalogue import CASES, ON_EVERY_STORE, PEERS, Peer, Scale

__all__ = ["CASES", "ON_EVERY_STORE", "PEERS", "Peer", "Scale"]
