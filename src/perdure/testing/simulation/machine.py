"""A machine with a worker on it, and the place where machines follow each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.orchestrator import Orchestrator
from perdure.testing.simulation.loop import Host, VirtualClock, context_of
from perdure.testing.simulation.weather import Setting, Strike
from perdure.testing.simulation.wire import Network, Wire, as_backend

T = TypeVar("T")


class Machine(Host):
    """A worker process from its start to its end. It crashes by standing still for ever."""

    def __init__(
        self, name: str, app: App, store: MemoryBackend, network: Network, setting: Setting, clock: VirtualClock
    ) -> None:
        super().__init__(name)
        self._network = network
        self.is_dead = False
        self.clock = clock
        self.wire = Wire(self, store, network, self.crash)
        self._context = context_of(self, network.context)
        self._companions: list[asyncio.Task[Any]] = []
        self._requests: set[asyncio.Task[Any]] = set()
        self.is_open = False
        """Whether it takes requests."""
        self.client = self._context.run(self._make_client, app, setting)
        self.worker = self.client.worker
        self.task = network.loop.create_task(self._work(), name=name, context=self._context)

    def crash(self) -> None:
        """Stand still for ever; what it holds in the store ends with its lease."""
        self._network.trace.note(self.name, "crashes")
        self.is_frozen = self.is_dead = self.wire.is_dead = True

    async def bury(self) -> None:
        """Let what was left behind end, out of reach of the store."""
        self.is_dead = self.wire.is_dead = True
        self._network.loop.thaw(self)
        for task in (self.worker._task, self.task, *self._companions, *self._requests):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))

    def take(self, ask: Callable[[Client], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Carry out somebody's request here, as a web server would that works, too."""
        task = self._network.loop.create_task(ask(self.client), name=f"request at {self.name}", context=self._context)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return task

    def _make_client(self, app: App, setting: Setting) -> Orchestrator:
        client = Orchestrator(
            as_backend(self.wire),
            app,
            name=self.name,
            workflow_queues=() if setting.kinds == "activities" else setting.queues,
            activity_queues=() if setting.kinds == "workflows" else setting.queues,
            max_workflow_tasks=setting.workflow_tasks,
            max_activities=setting.activities,
            cache_size=setting.cache_size,
            lease=setting.lease_seconds,
            grace=timedelta(seconds=setting.grace_seconds),
            clock=self.clock,
        )
        client.worker._aside = self._aside
        return client

    def _aside(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._companions.append(self._network.loop.create_task(main(), name=f"keeper of {self.name}"))

    async def _work(self) -> None:
        async with self.client:
            self.is_open = True
            try:
                await self.worker._wait_for_end()
            finally:
                self.is_open = False
            while self._requests:  # a program ends the block when it has answered
                await asyncio.wait(self._requests)


class Site:
    """Machines that follow each other, one at a time, with the same setting."""

    def __init__(
        self, number: int, app: App, store: MemoryBackend, network: Network, setting: Setting, dice: Random
    ) -> None:
        self._number = number
        self._app = app
        self._store = store
        self._network = network
        self._setting = setting
        self._dice = dice
        self._count = 0
        self.machine: Machine | None = None
        self.dead: list[Machine] = []

    def begin(self) -> None:
        """A machine is switched on, unless one runs, or has crashed and nobody has noticed."""
        self.notice_death()
        if self.machine is not None and not self.machine.task.done():
            return
        self._count += 1
        name = f"w{self._number}.{self._count}"
        clock = VirtualClock(
            self._network.loop,
            wrong_by_seconds=self._dice.choice((0.0, 0.0, -30.0, 5.0)),
            begins_at=self._dice.uniform(0, 1000),
        )
        self._network.trace.note(name, "begins")
        self.machine = Machine(name, self._app, self._store, self._network, self._setting, clock)

    def notice_death(self) -> bool:
        """Whether there is no machine, or no living one any more."""
        machine = self.machine
        if machine is None:
            return True
        if machine.is_dead:
            self.dead.append(machine)
            self.machine = None
            return True
        return machine.task.done()

    async def strike(self, strike: Strike) -> None:
        """Something happens to the machine, if there is one."""
        if self.notice_death():
            return
        machine = self.machine
        assert machine is not None
        self._network.trace.note(machine.name, f"is struck: {strike.kind} for {strike.seconds} s")
        await _STRIKES[strike.kind](self, machine, strike.seconds)

    async def _crash(self, machine: Machine, seconds: float) -> None:
        machine.crash()
        await asyncio.sleep(seconds)
        self.begin()

    async def _freeze(self, machine: Machine, seconds: float) -> None:
        machine.is_frozen = True
        await asyncio.sleep(seconds)
        if not machine.is_dead:
            self._network.loop.thaw(machine)

    async def _partition(self, machine: Machine, seconds: float) -> None:
        machine.wire.is_cut = True
        await asyncio.sleep(seconds)
        machine.wire.is_cut = False

    async def _stop(self, machine: Machine, seconds: float) -> None:
        machine.worker._stop.request()
        await self._begin_again(machine, seconds)

    async def _hurry(self, machine: Machine, seconds: float) -> None:
        machine.worker._stop.hurry()
        await self._begin_again(machine, seconds)

    async def _begin_again(self, machine: Machine, seconds: float) -> None:
        await asyncio.wait((machine.task,), timeout=seconds + 10)
        await asyncio.sleep(seconds)
        self.begin()

    async def _set_clock(self, machine: Machine, seconds: float) -> None:
        machine.clock.wrong_by_seconds += self._dice.uniform(-60, 60)


_STRIKES: dict[str, Callable[[Site, Machine, float], Coroutine[Any, Any, None]]] = {
    "crash": Site._crash,
    "freeze": Site._freeze,
    "partition": Site._partition,
    "stop": Site._stop,
    "hurry": Site._hurry,
    "clock": Site._set_clock,
}
