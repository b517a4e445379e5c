"""A store full of orders that wait, made by the original program."""

from __future__ import annotations

import asyncio

from perdure.model.instance import Instance
from perdure.orchestrator import Orchestrator
from tests.replay import programs

_EVENTS = {"near": 3, "far": 7, "bystander": 3}
_AT_ONCE = 500


async def fill(url: str, count: int) -> None:
    """Half of `count` orders, `near-…`, have only paid; the others, `far-…`, have been shipped; and some bystanders."""
    orders = [
        programs.original.with_options(instance_id=f"{place}-{number:05}")
        for number in range(count // 2)
        for place in ("near", "far")
    ]
    async with Orchestrator(url, programs.app_with(programs.original)) as orchestrator:
        for first in range(0, len(orders), _AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for order in orders[first : first + _AT_ONCE]:
                    name = str(order.options.instance_id)
                    group.create_task(orchestrator.start(order, name, 1 if name.startswith("near") else 2))
        for number in range(count // 10):
            await orchestrator.start(programs.bystander.with_options(instance_id=f"bystander-{number:05}"))
        while not all([_waits(instance) async for instance in orchestrator.list()]):
            await asyncio.sleep(0.2)


def _waits(instance: Instance) -> bool:
    return instance.history_length == _EVENTS[instance.instance_id.partition("-")[0]]
