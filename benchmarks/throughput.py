"""Workflows of one activity, a fixed number in flight, in one process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.workload import app, one_activity
from perdure import Orchestrator


async def run(store: str, count: int, in_flight: int) -> dict[str, Any]:
    """Start `count` workflows, `in_flight` at a time, and wait for each."""
    numbers = iter(range(count))
    latencies: list[float] = []

    async with Orchestrator(store, app, max_activities=in_flight, max_workflow_tasks=in_flight) as perdure:

        async def caller() -> None:
            for x in numbers:
                began = time.perf_counter()
                result = await perdure.run(one_activity.with_options(instance_id=f"order-{x:08d}"), x)
                if result != 2 * x + 1:
                    raise AssertionError(f"order-{x:08d} gave {result}")
                latencies.append(time.perf_counter() - began)

        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    latencies.sort()
    return {
        "workflows_per_second": round(count / seconds),
        "cpu_us_per_workflow": round(cpu / count * 1e6, 1),
        "latency_p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "latency_p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
    }
