"""The store's share of a workflow: create, claim, checkpoint with an activity handed back, fused closing checkpoint.

Run: python benchmarks/sqlite_store.py [full|normal|memory ...] [--number 20000] [--flying 200] [--profile]
No workflow code, no engine: what is measured is the path of a commit from the event loop to the disk and back.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

from perdure.backends.protocol import WorkerStart
from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.clock import random_id
from perdure.model.checkpoint import Checkpoint, Closing, NewActivity
from perdure.model.event import ActivityCompleted, ActivityScheduled, ExecutionCompleted, ExecutionStarted
from perdure.model.instance import State
from perdure.model.retry import StoredRetry
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import (
    Checkpointed,
    ClaimTasks,
    CompleteWorkflowTask,
    CreateInstance,
    FusedResult,
    Offer,
)

RETRY = StoredRetry(3, 1_000_000, 2.0, 60_000_000, 0.1)
QUEUES = ("default",)
DIGEST = b"0123456789abcdef"


class Run:
    def __init__(self, store: SqliteBackend, worker: int, number: int, flying: int) -> None:
        self.store = store
        self.worker = worker
        self.left = iter(range(number))
        self.flying = flying
        self.begun: dict[str, asyncio.Future[WorkflowTask]] = {}
        self.offer = Offer(worker, QUEUES, flying, frozenset({"act"}), True)

    async def client(self) -> None:
        for number in self.left:
            instance_id = f"order-{number:08d}"
            begun = self.begun[instance_id] = asyncio.get_running_loop().create_future()
            started = ExecutionStarted(at=0, workflow="wf", arguments=b"[1]", python="3.11")
            await self.store.commit(
                CreateInstance(
                    request_id=random_id(),
                    instance_id=instance_id,
                    execution_id=random_id(),
                    workflow="wf",
                    queue="default",
                    started=started,
                    digest=DIGEST,
                )
            )
            task = await begun
            await self.finish(task, *await self.schedule(task))

    async def schedule(self, task: WorkflowTask) -> tuple[int, ActivityTask]:
        started = task.pending[0].event
        scheduled = ActivityScheduled(number=1, name="act", arguments=b"[1]", digest=DIGEST, queue="default")
        activity = NewActivity(number=1, name="act", arguments=b"[1]", queue="default", priority=0, retry=RETRY)
        done = await self.store.commit(
            CompleteWorkflowTask(
                instance_key=task.instance_key,
                token=task.token,
                offer=self.offer,
                checkpoint=Checkpoint(position=0, events=(started, scheduled), activities=(activity,)),
            )
        )
        assert isinstance(done, Checkpointed), done
        assert len(done.activities) == 1
        return 2, done.activities[0]

    async def finish(self, task: WorkflowTask, position: int, activity: ActivityTask) -> None:
        events = (ActivityCompleted(at=task.now, number=1, result=b"2"), ExecutionCompleted(result=b"3"))
        done = await self.store.commit(
            CompleteWorkflowTask(
                instance_key=task.instance_key,
                token=task.token,
                offer=self.offer,
                fused=(FusedResult(activity.activity_key, activity.token),),
                checkpoint=Checkpoint(
                    position=position, events=events, closing=Closing(state=State.COMPLETED, result=b"3")
                ),
            )
        )
        assert isinstance(done, Checkpointed), done

    async def claims(self) -> None:
        while True:
            claimed = await self.store.commit(
                ClaimTasks(
                    worker_key=self.worker,
                    workflow_queues=QUEUES,
                    workflow_slots=self.flying,
                    workflow_names=frozenset({"wf"}),
                    activity_queues=QUEUES,
                    activity_slots=self.flying,
                    activity_names=frozenset({"act"}),
                )
            )
            for task in claimed.workflow_tasks:
                self.begun.pop(task.instance_id).set_result(task)
            if not claimed.workflow_tasks:
                await self.store.wait_for_work(self.worker, 1.0)


async def measure(path: str, synchronous: str, number: int, flying: int) -> None:
    store = SqliteBackend(path, SqliteOptions(synchronous=synchronous))  # type: ignore[arg-type]
    await store.open()
    start = WorkerStart(
        name="bench",
        workflow_queues=QUEUES,
        activity_queues=QUEUES,
        workflow_names=frozenset({"wf"}),
        activity_names=frozenset({"act"}),
        lease_seconds=3600,
    )
    run = Run(store, await store.start_worker(start), number, flying)
    before, cpu, began = store.commits, time.process_time(), time.perf_counter()
    claims = asyncio.create_task(run.claims())
    await asyncio.gather(*(run.client() for _ in range(flying)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    claims.cancel()
    counts = await store.count_instances()
    assert counts == {State.COMPLETED: number}, counts
    print(
        f"{'memory' if path == ':memory:' else synchronous:7} {number / seconds:8.0f} workflows/s  "
        f"{cpu / number * 1e6:6.1f} us of CPU each  {(store.commits - before) / number:6.3f} commits each"
    )
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["memory", "normal", "full"])
    parser.add_argument("--number", type=int, default=20_000)
    parser.add_argument("--flying", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
    gc.set_threshold(100_000, 50, 50)
    profiles: list[cProfile.Profile] = []
    if options.profile:
        _profile_threads(profiles)
    for _ in range(options.rounds):
        for kind in options.kinds:
            with tempfile.TemporaryDirectory() as directory:
                path = ":memory:" if kind == "memory" else str(Path(directory, "bench.db"))
                synchronous = "full" if kind == "memory" else kind
                asyncio.run(measure(path, synchronous, options.number, options.flying))
    for profile in profiles:
        pstats.Stats(profile).sort_stats("tottime").print_stats(28)


def _profile_threads(profiles: list[cProfile.Profile]) -> None:
    run = threading.Thread.run

    def profiled(self: threading.Thread) -> None:
        profile = cProfile.Profile()
        profiles.append(profile)
        profile.runcall(run, self)

    threading.Thread.run = profiled  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
