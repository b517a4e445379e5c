"""The client: it starts instances, writes to them, cancels, terminates and suspends them, and waits for their ends.

It asks again until it knows: what was acknowledged once must hold for ever. Some starts, letters and cancels go by way of a
machine that works, too (an Orchestrator): one that stands still or crashes doesn't answer, and somebody else is asked the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random
from typing import Any

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import (
    InstanceNotFound,
    InstanceNotRunning,
    StoreUnavailable,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)
from perdure.model.instance import State
from perdure.testing.simulation.interpreter import LETTER
from perdure.testing.simulation.loop import Host, VirtualClock
from perdure.testing.simulation.machine import Machine, Site
from perdure.testing.simulation.programs import Letter, Script
from perdure.testing.simulation.wire import Network, Wire, as_backend

_ENDS: dict[type[Exception], State] = {
    WorkflowFailed: State.FAILED,
    WorkflowCancelled: State.CANCELLED,
    WorkflowTerminated: State.TERMINATED,
}
_LATER_SECONDS = 0.5
_PATIENCE_SECONDS = 3.0


class Counters:
    """Where requests are taken: at machines, as long as there are any, and so often as this run wants it."""

    def __init__(self, sites: Sequence[Site], chance: float, dice: Random) -> None:
        self._sites = sites
        self._chance = chance
        self._dice = dice

    def choose(self) -> Machine | None:
        """The machine to ask now, if it is to be one."""
        if self._dice.random() >= self._chance:
            return None
        machine = self._dice.choice(self._sites).machine
        return machine if machine is not None and machine.is_open else None


class Driver:
    """One client for all scripts. What it learnt is read when it has ended."""

    def __init__(self, host: Host, app: App, store: MemoryBackend, network: Network, counters: Counters) -> None:
        self._network = network
        self._counters = counters
        self._play_workflow = app.workflows["play"]
        clock = VirtualClock(network.loop, wrong_by_seconds=network.dice.choice((0.0, 100.0)))
        self._client = Client(as_backend(Wire(host, store, network, None)), app, clock=clock)
        self.ends: dict[str, tuple[State, Any]] = {}
        """By instance, what waiting for its result gave."""
        self.asked: set[tuple[str, str]] = set()
        """(instance, what): cancels and terminations that were acknowledged."""

    async def run(self, scripts: tuple[Script, ...]) -> None:
        """Play all scripts to the ends of their instances."""
        async with self._client, asyncio.TaskGroup() as group:
            for script in scripts:
                group.create_task(self._play(script))

    async def _play(self, script: Script) -> None:
        name = script.program.name
        await asyncio.sleep(script.start_at)
        await self._insist(lambda: self._start(script))
        async with asyncio.TaskGroup() as group:
            for sender, times in script.letters:
                group.create_task(self._write_letters(name, sender, times))
            if script.cancel_after is not None:
                group.create_task(self._later(script.cancel_after, name, "cancel"))
            if script.terminate_after is not None:
                group.create_task(self._later(script.terminate_after, name, "terminate"))
            if script.suspend_after is not None:
                group.create_task(self._suspend(name, script.suspend_after, script.suspended_seconds))
            self.ends[name] = await self._insist(lambda: self._end(name))

    async def _start(self, script: Script) -> None:
        program = script.program
        options = self._play_workflow.with_options(
            instance_id=program.name,
            idempotency_key=program.name,
            queue=program.queue,
            start_delay=script.start_delay,
            timeout=script.timeout,
        )
        for number in range(script.with_start):
            options = options.with_options(start_signal=LETTER(Letter("start", number)))
        await self._anywhere(lambda client: client.start(options, program, []))

    async def _write_letters(self, name: str, sender: str, times: tuple[float, ...]) -> None:
        begun = self._network.loop.time()
        for number, at in enumerate(times):
            await asyncio.sleep(begun + at - self._network.loop.time())
            letter, key = Letter(sender, number), f"{sender} {number}"
            if not await self._ask(
                lambda: self._anywhere(lambda client: client.signal(name, LETTER, letter, idempotency_key=key))  # noqa: B023
            ):
                return

    async def _later(self, seconds: float, name: str, what: str) -> None:
        await asyncio.sleep(seconds)
        self.asked.add((name, what))
        await self._ask(lambda: self._anywhere(lambda client: getattr(client, what)(name)))

    async def _suspend(self, name: str, seconds: float, suspended_seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._ask(lambda: self._client.suspend(name))
        await asyncio.sleep(suspended_seconds)
        await self._ask(lambda: self._client.resume(name))

    async def _end(self, name: str) -> tuple[State, Any]:
        try:
            return State.COMPLETED, await self._client.result(name, self._play_workflow)
        except tuple(_ENDS) as end:
            cause = end.__cause__
            return _ENDS[type(end)], None if cause is None else type(cause).__name__

    async def _ask(self, ask: Callable[[], Awaitable[object]]) -> bool:
        """Whether the instance took it; it may have ended."""
        try:
            await self._insist(ask)
        except (InstanceNotRunning, InstanceNotFound):
            return False
        return True

    async def _anywhere(self, ask: Callable[[Client], Coroutine[Any, Any, object]]) -> None:
        """Ask a machine, if one is at hand, and else, or if it doesn't answer, the store."""
        machine = self._counters.choose()
        if machine is not None:
            request = machine.take(ask)
            done, _ = await asyncio.wait((request,), timeout=_PATIENCE_SECONDS)
            if done:
                request.result()
                return
            self._network.trace.note(machine.name, "doesn't answer the client")
            request.cancel()
        await ask(self._client)

    async def _insist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask until the store answers."""
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(_LATER_SECONDS)
