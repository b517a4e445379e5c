"""Microsoft's Durable Task SDK on the backend in memory that it brings along for tests, over gRPC within this process.

The backend's own server has 10 threads, and each waiting client holds one: it gets as many as there are callers. The limit
of 10,000 events in a history is raised too. The worker's pool of 6 threads stays: 50 were slower (204/s, not
322). So was the backend in a process of its own (a fan-out 770/s, not 1,490).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import grpc
from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.internal import orchestrator_service_pb2_grpc
from durabletask.task import ActivityContext, OrchestrationContext, when_all
from durabletask.testing import InMemoryOrchestrationBackend
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

from benchmarks.peers import measure
from benchmarks.peers.measure import Order

WORKER_THREADS = 6
SPARE_SERVER_THREADS = 20  # beside those that hold a waiting client: calls of the worker
PATIENCE_SECONDS = 120

Steps = Generator[Any, Any, int]


def double(ctx: ActivityContext, x: int) -> int:
    return x * 2


def payload(ctx: ActivityContext, _: None) -> str:
    return measure.PAYLOAD


def one_activity(ctx: OrchestrationContext, x: int) -> Steps:
    return int((yield ctx.call_activity(double, input=x))) + 1


def ten_in_a_row(ctx: OrchestrationContext, x: int) -> Steps:
    total = 0
    for step in range(measure.STEPS_OF_TEN):
        total += yield ctx.call_activity(double, input=x + step)
    return total


def steps_in_a_row(ctx: OrchestrationContext, steps: int) -> Steps:
    total = 0
    for step in range(steps):
        total += yield ctx.call_activity(double, input=step)
    return total


def fan_out(ctx: OrchestrationContext, width: int) -> Steps:
    return sum((yield when_all([ctx.call_activity(double, input=x) for x in range(width)])))


def leaf(ctx: OrchestrationContext, _: None) -> Steps:
    return sum(len(each) for each in (yield when_all([ctx.call_activity(payload) for _ in range(2)])))


def middle(ctx: OrchestrationContext, depth: int) -> Steps:
    """A root or one in between."""
    if depth:
        children = [ctx.call_sub_orchestrator(middle, input=depth - 1) for _ in range(2)]
    else:
        children = [ctx.call_sub_orchestrator(leaf) for _ in range(2)]
    return sum((yield when_all(children)))


WORKFLOWS = {
    "one_activity": one_activity,
    "ten_in_a_row": ten_in_a_row,
    "steps_in_a_row": steps_in_a_row,
    "fan_out": fan_out,
    "tree": middle,
}


class DurableTask:
    """An asynchronous client beside the worker and the server."""

    def __init__(self, client: AsyncTaskHubGrpcClient, server_threads: int) -> None:
        self._client = client
        self._server_threads = server_threads

    async def run(self, workflow: str, x: int) -> int:
        argument = measure.DEPTH if workflow == "tree" else x
        instance_id = await self._client.schedule_new_orchestration(WORKFLOWS[workflow], input=argument)
        state = await self._client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE_SECONDS)
        return int(state.get_output(int))

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        return await measure.closed_loop(self.run, workflow, xs, in_flight)

    async def start(self, x: int) -> None:
        await self._client.schedule_new_orchestration(one_activity, input=x)

    def settings(self) -> dict[str, Any]:
        versions = {name: version(name) for name in ("durabletask", "grpcio", "protobuf")}
        return {**versions, "server_threads": self._server_threads, "worker_threads": WORKER_THREADS}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[DurableTask]:
    server_threads = order.in_flight + SPARE_SERVER_THREADS
    server = grpc.server(ThreadPoolExecutor(server_threads))
    backend = InMemoryOrchestrationBackend(max_history_size=10_000_000)
    orchestrator_service_pb2_grpc.add_TaskHubSidecarServiceServicer_to_server(backend, server)
    address = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    worker = worker_at(address)
    if order.case != "start_only":
        worker.start()
    try:
        async with AsyncTaskHubGrpcClient(host_address=address) as client:
            yield DurableTask(client, server_threads)
    finally:
        if order.case != "start_only":
            worker.stop()
        server.stop(0).wait()


def worker_at(address: str) -> TaskHubGrpcWorker:
    options = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=1000,
        maximum_concurrent_orchestration_work_items=1000,
        maximum_thread_pool_workers=WORKER_THREADS,
    )
    worker = TaskHubGrpcWorker(host_address=address, concurrency_options=options)
    for workflow in (*WORKFLOWS.values(), leaf):
        worker.add_orchestrator(workflow)
    for activity in (double, payload):
        worker.add_activity(activity)
    return worker


def stored(order: Order) -> None:
    """There is no file."""


def main(words: list[str]) -> None:
    logging.disable(logging.WARNING)
    measure.main(opened, stored, words)
