"""One run, from its seed to its report."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import traceback
from contextlib import suppress
from random import Random

import msgspec

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.memory.store import MemoryStore
from perdure.clock import take_chance_from
from perdure.model.inspection import SettingKind
from perdure.model.transition import Remove, Resume
from perdure.testing.simulation.audit import Audit, emptiness_problems, stand_of
from perdure.testing.simulation.driver import Counters, Driver
from perdure.testing.simulation.interpreter import simulated_app
from perdure.testing.simulation.ledger import Ledger, set_ledger
from perdure.testing.simulation.listening import listening
from perdure.testing.simulation.loop import BusyLoop, Host, Standstill, VirtualClock, VirtualLoop, context_of
from perdure.testing.simulation.machine import Site
from perdure.testing.simulation.outside import Outside
from perdure.testing.simulation.programs import random_scripts
from perdure.testing.simulation.referee import Referee
from perdure.testing.simulation.trace import Trace
from perdure.testing.simulation.weather import random_weather
from perdure.testing.simulation.wire import Network

_LONGEST_CALM_SECONDS = 240.0
_LONGEST_STOP_SECONDS = 60.0
_LONGEST_LEASE_SECONDS = 10.0
_DAYS_REMEMBERED = 8


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a seed."""

    seed: int
    violations: tuple[str, ...]
    trace: Trace
    seconds: float
    """Virtual ones, until all had ended."""
    instances: int
    attempts: int
    """Of activities."""
    workers_lost: int


def simulate(seed: int) -> Report:
    """Run one seed."""
    context = contextvars.Context()
    return context.run(lambda: Simulation(seed).run())


class Simulation:
    """Everything of one run, on one event loop."""

    def __init__(self, seed: int) -> None:
        dice = Random(seed)
        self.seed = seed
        self.loop = VirtualLoop()  # type: ignore[abstract]  # it does what is asked of it here
        self.trace = Trace(self.loop)
        self.weather = random_weather(dice)
        self.scripts = random_scripts(dice, self.weather.programs, self.weather.storm_seconds)
        take_chance_from(Random(dice.getrandbits(64)))
        tokens = Random(dice.getrandbits(64))
        self.clock = VirtualClock(self.loop)
        store = MemoryStore(
            clock=self.clock,
            random_token=lambda: tokens.getrandbits(63),
            blob_threshold=self.weather.blob_threshold,
        )
        self.store = MemoryBackend(store)
        self.tables = store._tables
        self.ledger = Ledger(self.trace, Random(dice.getrandbits(64)))
        set_ledger(self.ledger)
        self.app: App = simulated_app(self.ledger.draw)
        self.referee = Referee(self.tables, self.trace)
        context = context_of(None, contextvars.copy_context())
        self.network = Network(self.loop, self.weather, Random(dice.getrandbits(64)), self.referee, self.trace, context)
        sites = Random(dice.getrandbits(64))
        self.sites = [
            Site(number, self.app, self.store, self.network, setting, sites)
            for number, setting in enumerate(self.weather.settings)
        ]
        self.client = Host("client")
        # Drawn apart: a seed that asks no machine goes as it went before there were any to ask.
        counters_dice = Random(f"counters {seed}")
        counters = Counters(self.sites, counters_dice.choice((0.0, 0.5, 1.0)), counters_dice)
        self.driver = context_of(self.client, context).run(
            Driver, self.client, self.app, self.store, self.network, counters
        )
        self.outside = context_of(self.client, context).run(
            Outside, self.client, self.app, self.store, self.network, self.ledger
        )
        self._ended_at = 0.0
        self._instances = self._workers_lost = 0

    def run(self) -> Report:
        """The run, and what was wrong with it."""
        with listening(logging.getLogger("perdure"), self.trace):
            try:
                self.loop.run(self._run())
                if self.loop.live_tasks:
                    self.trace.violated(f"tasks are left over: {[task.get_name() for task in self.loop.live_tasks]}")
            except (Standstill, BusyLoop) as problem:
                self.trace.violated(f"{type(problem).__name__}: {problem}")
            except Exception:
                self.trace.violated(f"the simulation failed:\n{traceback.format_exc()}")
            if self.trace.violations:
                self._end_all()
        for reported in self.loop.problems:
            self.trace.violated(f"the event loop reports: {reported}")
        return Report(
            seed=self.seed,
            violations=tuple(self.trace.violations),
            trace=self.trace,
            seconds=self._ended_at,
            instances=self._instances,
            attempts=self.ledger.starts.total(),
            workers_lost=self._workers_lost,
        )

    def _end_all(self) -> None:
        """After a run that went wrong: leave nothing to the garbage collector, which would end it at any time."""
        for site in self.sites:
            for machine in (site.machine, *site.dead):
                if machine is not None:
                    machine.is_dead = machine.wire.is_dead = True
                    self.loop.thaw(machine)
        self.loop.thaw(self.client)
        with suppress(Exception):
            self.loop.run(self.loop.end_all())

    async def _run(self) -> None:
        client = context_of(self.client, self.network.context)
        for queue, limits in self.weather.limits:
            await self.store.put_setting(SettingKind.QUEUE, queue, msgspec.json.encode(limits))
        driving = self.loop.create_task(self.driver.run(self.scripts), name="client", context=client)
        completing = self.loop.create_task(self.outside.run(), name="outside", context=client)
        await self._storm()
        await self._calm_down(driving)
        completing.cancel()
        await asyncio.wait((completing,))
        self._ended_at = self.loop.time()
        await self._stop_all()
        if not self.trace.violations:
            self._audit()
        if not self.trace.violations:
            await self._clear_out()

    async def _storm(self) -> None:
        for number, site in enumerate(self.sites):
            self.loop.call_later(number * 0.05, site.begin)
        async with asyncio.TaskGroup() as group:
            for strike in self.weather.strikes:
                await asyncio.sleep(max(0.0, strike.at - self.loop.time()))
                group.create_task(self.sites[strike.site].strike(strike))
            await asyncio.sleep(max(0.0, self.weather.storm_seconds - self.loop.time()))
        self.network.is_calm = True
        self.trace.note("weather", "calm")

    async def _calm_down(self, driving: asyncio.Task[None]) -> None:
        """Now everything has to end."""
        ends_at = self.loop.time() + _LONGEST_CALM_SECONDS
        while not driving.done() or any(row.is_running for row in self.tables.instances.values()):
            if driving.done() and driving.exception() is not None:
                break
            if self.loop.time() >= ends_at:
                for row in self.tables.instances.values():
                    if row.is_running:
                        self.trace.violated(f"{row.instance_id} doesn't end: {stand_of(row)}")
                if not driving.done():
                    self.trace.violated("the client waits for ever")
                break
            for site in self.sites:
                site.begin()
            await self._operate()
            await asyncio.sleep(0.5)
        if not driving.done():
            driving.cancel()
            await asyncio.wait((driving,))
        elif driving.exception() is not None:
            problem = driving.exception()
            self.trace.violated("the client failed:\n" + "".join(traceback.format_exception(problem)))

    async def _operate(self) -> None:
        """Instances that lost five workers in a row wait for somebody to look; a suspend may have come after its resume."""
        for row in list(self.tables.instances.values()):
            if row.suspended or (row.stuck_reason is not None and row.wake_at is None):
                self.trace.note("operator", "resumes", row.instance_id)
                await self.store.commit(Resume(instance_id=row.instance_id))

    async def _stop_all(self) -> None:
        machines = [site.machine for site in self.sites if not site.notice_death()]
        for machine in machines:
            assert machine is not None
            machine.worker._stop.request()
        stopping = [machine.task for machine in machines if machine is not None]
        if stopping:
            _, left = await asyncio.wait(stopping, timeout=_LONGEST_STOP_SECONDS)
            for task in left:
                self.trace.violated(f"{task.get_name()} doesn't stop")
        ended = [site.machine for site in self.sites if site.machine is not None and site.machine.task.done()]
        for machine in ended:
            problem = machine.task.exception() if not machine.task.cancelled() else None
            if problem is not None:
                self.trace.violated(f"{machine.name} failed: {''.join(traceback.format_exception(problem))}")
        await asyncio.sleep(_LONGEST_LEASE_SECONDS)  # a worker that was stopped while it began knows nothing of its row
        await self.store.housekeep()
        for site in self.sites:
            for dead in site.dead:
                await dead.bury()

    def _audit(self) -> None:
        self._instances = len(self.tables.instances)
        self._workers_lost = sum(worker.is_dead for worker in self.tables.workers.values())
        audit = Audit(self.tables, self.app, self.referee, self.driver, self.scripts)
        for problem in audit.problems():
            self.trace.violated(problem)

    async def _clear_out(self) -> None:
        """Remove everything, and wait until what is remembered for a time is forgotten."""
        for name in list(self.tables.by_id):
            await self.store.commit(Remove(instance_id=name))
        await asyncio.sleep(_DAYS_REMEMBERED * 86_400)
        await self.store.housekeep()
        for problem in emptiness_problems(self.tables):
            self.trace.violated(problem)
