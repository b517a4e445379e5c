"""What a worker that is watched tells of itself, and of the store, while it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from perdure.backends.group_commit import Watchable
from perdure.backends.protocol import Backend
from perdure.clock import new_dice
from perdure.errors import StoreError
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.observability.telemetry import Held, Seen, WorkerWatcher
from perdure.worker.activities import Activities
from perdure.worker.backoff import HOPELESS, Backoff
from perdure.worker.executions import Executions
from perdure.worker.possessions import Possessions

_REST = 50.0
"""So many times as long as a look took, nobody looks: what is counted may be large."""
_STUCK = InstanceFilter(states=frozenset((State.RUNNING,)), stuck=True)


def watching(has: Possessions, executions: Executions, activities: Activities) -> Sequence[Coroutine[Any, Any, None]]:
    """What is to run beside a life of a worker that is watched."""
    watcher = has.watcher
    if watcher is None:
        return ()
    return (_watch(has, watcher, lambda: Held(executions.cached_count, activities.running_count)),)


async def _watch(has: Possessions, watcher: WorkerWatcher, held: Callable[[], Held]) -> None:
    if isinstance(has.backend, Watchable):
        has.backend.watch_commits(watcher.committed)
    ended = watcher.begin(held)
    try:
        if watcher.look_seconds is not None:
            await _look_around(has, watcher, watcher.look_seconds)
        else:
            await asyncio.Event().wait()
    finally:
        ended()


async def _look_around(has: Possessions, watcher: WorkerWatcher, every_seconds: float) -> None:
    """Now and then, the oldest of the workers looks at queues and stuck instances for all."""
    dice, time = new_dice(), asyncio.get_running_loop().time
    backoff = Backoff(has.logger, "a look at the store for its metrics")
    while True:
        began_at = time()
        try:
            is_ours = await _is_oldest(has.backend, has.options.name)
            watcher.saw_store(await _seen(has.backend) if is_ours else None)
            backoff.worked()
        except HOPELESS:
            return  # the next claim says it
        except StoreError as problem:
            watcher.saw_store(None)
            backoff.failed(problem)
        await asyncio.sleep(max(every_seconds * (0.75 + dice.random() / 2), _REST * (time() - began_at)))


async def _is_oldest(backend: Backend, name: str) -> bool:
    alive = [worker.worker for worker in await backend.list_workers() if worker.is_alive]
    return alive[:1] == [name]


async def _seen(backend: Backend) -> Seen:
    stuck = await backend.count_instances(_STUCK)
    return Seen(await backend.list_queues(), await backend.now(), sum(stuck.values()))
