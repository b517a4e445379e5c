"""Queues, workers, and how fast it goes."""

from __future__ import annotations

from datetime import timedelta

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.queues import read_queues, read_throughput
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import lingering, pick, waiting
from tests.worker.support import until_async


async def test_a_queue_names_its_workers_and_limits(perdure: Orchestrator, look: Look) -> None:
    await perdure.queues.set_limits("default", at_once=3, per_second=2.5)

    page = await read_queues(look)

    (worker,) = page.workers
    (queue,) = page.queues
    assert worker.is_alive
    assert worker.silent_seconds >= 0
    assert (queue.queue, queue.at_once, queue.per_second, queue.is_paused) == ("default", 3, 2.5, False)
    assert queue.workflow_workers == queue.activity_workers == (worker.worker,)
    assert queue.problem == ""


async def test_a_queue_that_nobody_serves_says_so(perdure: Orchestrator, look: Look) -> None:
    await perdure.start(waiting.with_options(queue="nobody"))

    page = await read_queues(look)

    queue = next(each for each in page.queues if each.queue == "nobody")
    assert (queue.workflow_tasks, queue.workflow_workers) == (1, ())
    assert queue.problem == "no live worker takes its workflow tasks"
    assert queue.waits_seconds is not None
    assert queue.waits_seconds >= 0


async def test_a_paused_queue_says_so(perdure: Orchestrator, look: Look) -> None:
    await perdure.queues.pause("default")

    (queue,) = (await read_queues(look)).queues

    assert queue.is_paused
    assert queue.problem == "paused: none of its activities begins"


async def test_what_runs_is_counted(perdure: Orchestrator, look: Look) -> None:
    await perdure.start(lingering)

    async def is_running() -> bool:
        return any(each.running_activities == 1 for each in (await read_queues(look)).queues)

    await until_async(is_running)


async def test_throughput_counts_what_began_and_ended_lately(perdure: Orchestrator, look: Look) -> None:
    for _ in range(3):
        await perdure.run(pick, "red")
    await perdure.start(waiting)
    await perdure.start(waiting.with_options(queue="nobody"))

    everything = await read_throughput(look)
    nobody = await read_throughput(look, queue="nobody")
    just_now = await read_throughput(look, over=timedelta(microseconds=1))

    assert (everything.created, everything.ended, everything.seconds) == (5, 3, 300.0)
    assert (nobody.created, nobody.ended) == (1, 0)
    assert just_now.ended == 0
    assert everything.ended_per_second == 0.01
