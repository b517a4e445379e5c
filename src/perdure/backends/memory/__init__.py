"""A store in this process's memory: the semantics of all stores, nothing kept; the base of simulations and tests."""

from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.memory.store import MemoryStore

__all__ = ["MemoryBackend", "MemoryStore"]
