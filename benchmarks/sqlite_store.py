"""The store's share of a workflow: created with its first step and an activity handed back, then a fused closing one.

Run: python benchmarks/sqlite_store.py [full|normal|memory ...] [--number 20000] [--flying 200] [--claimed] [--profile]
`--claimed` creates, claims, and takes the first step then, as a worker does for other processes' instances.
`--busy 50` has the event loop's thread run Python for so many microseconds per workflow, as workflow code would: the two
threads then fight for the GIL.
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

from perdure.backends.answers import Answer
from perdure.backends.protocol import WorkerStart
from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.clock import random_id
from perdure.model.checkpoint import Checkpoint, Closing, NewActivity
from perdure.model.event import ActivityCompleted, ActivityScheduled, ExecutionCompleted, ExecutionStarted
from perdure.model.instance import State
from perdure.model.retry import StoredRetry
from perdure.model.task import WorkflowTask
from perdure.model.transition import (
    Checkpointed,
    ClaimTasks,
    CompleteWorkflowTask,
    Created,
    CreateInstance,
    Existing,
    FirstStep,
    FusedResult,
    Offer,
    Rejected,
)

RETRY = StoredRetry(3, 1_000_000, 2.0, 60_000_000, 0.1)
QUEUES = ("default",)
DIGEST = b"0123456789abcdef"


class Run:
    """Callbacks on futures, no tasks: what is left of the CPU's time is the store's."""

    def __init__(self, store: SqliteBackend, worker: int, number: int, flying: int) -> None:
        self.store = store
        self.worker = worker
        self.number = number
        self.begun = self.ended = 0
        self.done = asyncio.get_running_loop().create_future()
        self.offer = Offer(worker, QUEUES, flying, frozenset({"act"}), True)
        self.flying = flying
        self.is_claimed = False
        self.busy_seconds = 0.0

    def begin(self) -> None:
        """One more instance, unless all have begun."""
        if self.begun == self.number:
            return
        self.begun += 1
        started = ExecutionStarted(at=0, workflow="wf", arguments=b"[1]", python="3.11")
        creation = CreateInstance(
            request_id=random_id(),
            instance_id=f"order-{self.begun:08d}",
            execution_id=random_id(),
            workflow="wf",
            queue="default",
            started=started,
            digest=DIGEST,
            first_step=None if self.is_claimed else FirstStep(checkpoint=self.scheduling(started), offer=self.offer),
        )
        creating = self.store.submit(creation)
        if not self.is_claimed:
            creating.add_done_callback(self.created)

    def scheduling(self, started: ExecutionStarted) -> Checkpoint:
        scheduled = ActivityScheduled(number=1, name="act", arguments=b"[1]", digest=DIGEST, queue="default")
        activity = NewActivity(number=1, name="act", arguments=b"[1]", queue="default", priority=0, retry=RETRY)
        return Checkpoint(position=0, events=(started, scheduled), activities=(activity,))

    def created(self, creating: Answer[Created | Existing]) -> None:
        done = creating.result()
        assert isinstance(done, Created)
        assert done.first is not None
        self.finish(done.instance_key, done.token, done.first)

    def claimed(self, task: WorkflowTask) -> None:
        started = task.pending[0].event
        assert isinstance(started, ExecutionStarted)
        step = CompleteWorkflowTask(
            instance_key=task.instance_key, token=task.token, offer=self.offer, checkpoint=self.scheduling(started)
        )
        self.store.submit(step).add_done_callback(lambda done: self.scheduled(task, done.result()))

    def scheduled(self, task: WorkflowTask, done: Checkpointed | Rejected) -> None:
        assert isinstance(done, Checkpointed), done
        self.finish(task.instance_key, task.token, done)

    def finish(self, key: int, token: int, first: Checkpointed) -> None:
        (activity,) = first.activities
        events = (ActivityCompleted(at=activity.now, number=1, result=b"2"), ExecutionCompleted(result=b"3"))
        end = CompleteWorkflowTask(
            instance_key=key,
            token=token,
            offer=self.offer,
            fused=(FusedResult(activity.activity_key, activity.token),),
            checkpoint=Checkpoint(position=2, events=events, closing=Closing(state=State.COMPLETED, result=b"3")),
        )
        self.store.submit(end).add_done_callback(self.finished)

    def finished(self, ending: Answer[Checkpointed | Rejected]) -> None:
        assert isinstance(ending.result(), Checkpointed)
        until = time.perf_counter() + self.busy_seconds
        while time.perf_counter() < until:
            pass
        self.ended += 1
        if self.ended == self.number:
            self.done.set_result(None)
        else:
            self.begin()

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
                self.claimed(task)
            if not claimed.workflow_tasks:
                await self.store.wait_for_work(self.worker, 1.0)


async def measure(path: str, synchronous: str, number: int, flying: int, *, is_claimed: bool, busy: float) -> None:
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
    writing = _writers_seconds()
    run.is_claimed, run.busy_seconds = is_claimed, busy / 1e6
    claims = asyncio.create_task(run.claims())
    for _ in range(flying):
        run.begin()
    await run.done
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    writing = _writers_seconds() - writing
    claims.cancel()
    counts = await store.count_instances()
    assert counts == {State.COMPLETED: number}, counts
    print(
        f"{'memory' if path == ':memory:' else synchronous:7} {number / seconds:8.0f} workflows/s  "
        f"{cpu / number * 1e6:6.1f} us of CPU each, {writing / number * 1e6:5.1f} of them in the writer  "
        f"{(store.commits - before) / number:6.3f} commits each"
    )
    await store.close()


def _writers_seconds() -> float:
    """CPU time of the thread that writes."""
    (thread,) = (thread for thread in threading.enumerate() if thread.name.startswith("perdure writes"))
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["memory", "normal", "full"])
    parser.add_argument("--number", type=int, default=20_000)
    parser.add_argument("--flying", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--claimed", action="store_true")
    parser.add_argument("--busy", type=float, default=0.0)
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
                asyncio.run(
                    measure(
                        path, synchronous, options.number, options.flying, is_claimed=options.claimed, busy=options.busy
                    )
                )
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
