"""Workflows that use every primitive of asyncio, each with the result that it must have on every Python.

`Run.to_end` drives them. They are what test_primitives.py, test_order.py and test_corpus.py replay.
"""

from __future__ import annotations

from tests.engine import samples_synchronisation, samples_tasks
from tests.engine.sampling import SAMPLES, Sample

__all__ = ["SAMPLES", "Sample", "samples_synchronisation", "samples_tasks"]
