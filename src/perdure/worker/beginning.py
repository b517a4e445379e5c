"""How a life of a worker begins: under a new key, as soon as the store can be reached."""

from __future__ import annotations

import asyncio

from perdure.backends.protocol import WorkerStart
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.life import Life
from perdure.worker.possessions import Possessions
from perdure.worker.waiting import first_of


async def begin_life(has: Possessions) -> Life | None:
    """Announce the worker under a new key. None if it is to stop before the store could be reached.

    Raises SchemaMismatch and StoreSealed.
    """
    started_at = has.clock.monotonic()

    async def announce() -> int:
        nonlocal started_at
        started_at = has.clock.monotonic()  # before the question: the lease may begin as soon as it is asked
        return await has.backend.start_worker(_start_of(has))

    asking = asyncio.ensure_future(until_done(announce, Backoff(has.logger, "starting the worker")))
    await first_of(asking, has.stop.wait())
    return None if asking.cancelled() else Life(has, asking.result(), started_at)


def _start_of(has: Possessions) -> WorkerStart:
    options = has.options
    return WorkerStart(
        name=options.name,
        workflow_queues=options.workflow_queues,
        activity_queues=options.activity_queues,
        workflow_names=frozenset(has.app.workflows) if options.workflow_queues else frozenset(),
        activity_names=frozenset(has.activities) if options.activity_queues else frozenset(),
        versions=options.versions,
        lease_seconds=options.lease_seconds,
    )
