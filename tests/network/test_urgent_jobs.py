"""Heartbeats pass what is waiting: a worker that is well must not lose its leases because there is much to write."""

from __future__ import annotations

import asyncio
import threading

from perdure.backends.network.backend import NetworkBackend
from perdure.backends.network.link import Conflict
from perdure.backends.unit.chore import Chore
from perdure.backends.unit.unit import Unit
from tests.network.machines import Machines


async def backend_of(machines: Machines) -> NetworkBackend:
    backend = (await machines.start()).backend
    assert isinstance(backend, NetworkBackend)
    return backend


async def test_what_is_urgent_goes_before_what_came_earlier(machines: Machines) -> None:
    backend = await backend_of(machines)
    done: list[str] = []

    answers = [
        backend._at_desk.submit(Chore(lambda _: done.append("other"))),
        backend._at_desk.submit(Chore(lambda _: done.append("urgent"), is_urgent=True)),
    ]
    for answer in answers:
        await answer

    assert done == ["urgent", "other"]


async def test_what_is_urgent_passes_a_batch_that_is_tried_again(machines: Machines) -> None:
    backend, loop = await backend_of(machines), asyncio.get_running_loop()
    done: list[str] = []
    is_submitted = threading.Event()

    def submit() -> None:
        backend._at_desk.submit(Chore(lambda _: done.append("urgent"), is_urgent=True))
        loop.call_soon(is_submitted.set)  # when it has been handed over

    def apply(_: Unit) -> None:
        if not is_submitted.is_set():
            loop.call_soon_threadsafe(submit)
            is_submitted.wait()
            raise Conflict("somebody was faster")
        done.append("batch")

    await backend._at_desk.submit(Chore(apply))

    assert done == ["urgent", "batch"]
