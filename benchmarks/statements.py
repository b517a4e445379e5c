"""Counts the statements and commits of one workflow on SQLite, step by step: `python -m benchmarks.statements`.

The rows of ARCHITECTURE.md come from here. Alone, each transition is a commit of its own; among 200 in flight the same
rows are written, and `begin`, `commit` and the selects are shared by the batch.
"""

from __future__ import annotations

import asyncio
import collections
import tempfile

from benchmarks.workload import app, steps_in_a_row
from perdure import Orchestrator
from perdure.backends.sqlite import SqliteBackend
from perdure.backends.sqlite.tables import connection_of


async def count(steps: int) -> collections.Counter[str]:
    """What one workflow of so many activities in a row costs, client and worker in one process."""
    kinds: collections.Counter[str] = collections.Counter()

    def note(statement: str) -> None:
        words = statement.split()
        kinds[" ".join(words[:3]).lower() if words[0].lower() in {"insert", "delete"} else words[0].lower()] += 1

    with tempfile.TemporaryDirectory() as folder:
        async with Orchestrator(f"sqlite:///{folder}/count.db", app) as perdure:
            await perdure.run(steps_in_a_row, 1)  # what is cached at the first use
            backend = perdure.backend
            assert isinstance(backend, SqliteBackend)
            await backend._write(lambda unit: connection_of(unit).set_trace_callback(note))
            kinds.clear()
            await perdure.run(steps_in_a_row, steps)
            found = kinds.copy()
    return found


async def main() -> None:
    """Print the cost of a workflow with one step, and of each further one."""
    one, many = await count(1), await count(101)
    print("one workflow with one activity:", dict(sorted(one.items())))
    further = {kind: round((many[kind] - one[kind]) / 100, 2) for kind in sorted(many)}
    print("each further activity in a row:", further)


if __name__ == "__main__":
    asyncio.run(main())
