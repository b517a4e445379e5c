"""Counting instances without looking at each."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from perdure.backends.sql.inspection import instances
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.model.transition import Terminate
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened


async def test_all_together_are_as_many_as_one_by_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        assert await store.backend.count_instances() == {}
        endings = [
            builders.completed(),
            builders.completed(),
            builders.failed(),
            builders.cancelled(),
            None,
            None,
            None,
        ]
        for number, closing in enumerate(endings):
            await store.create(f"order-{number}")
            task = await worker.claim_workflow_task()
            await worker.checkpoint(task, closing=closing)
        await store.backend.commit(Terminate(instance_id="order-5"))
        everything = await store.backend.count_instances()
        assert everything == await store.backend.count_instances(InstanceFilter(workflow="checkout"))
        assert everything == {
            State.RUNNING: 2,
            State.COMPLETED: 2,
            State.FAILED: 1,
            State.CANCELLED: 1,
            State.TERMINATED: 1,
        }


async def test_the_table_itself_is_not_read(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db"):
        connection = sqlite3.connect(tmp_path / "store.db")
        plan = connection.execute(f"explain query plan {instances._COUNT_ALL}").fetchall()
        connection.close()
    looks = [step for *_, step in plan if "perdure_instances" in step]
    assert len(looks) == 3
    assert all("COVERING INDEX" in step for step in looks)
