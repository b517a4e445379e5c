"""The floor's workflows: a coroutine on a loop of its own, which runs until it waits for something outside."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

import msgspec

from benchmarks.peers.floor_store import Step

Workflow = Callable[["Instance", int], Coroutine[Any, Any, Any]]
Activity = Callable[[Any], Coroutine[Any, Any, Any]]
Ended = Callable[[Step, bytes], None]  # puts what follows from a result into the step that ends the workflow
decode = msgspec.json.Decoder().decode


class WorkflowLoop(asyncio.AbstractEventLoop):  # its other 45 methods are nothing that a task or a future calls
    """Runs what is ready, in order, and nothing else."""

    def __init__(self) -> None:
        self._ready: deque[tuple[Context, Callable[..., object], tuple[Any, ...]]] = deque()

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        self._ready.append((context or copy_context(), callback, args))

    def call_exception_handler(self, context: Any) -> None:
        raise AssertionError(context)

    def run_until_it_waits(self) -> None:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                context, callback, args = self._ready.popleft()
                context.run(callback, *args)
        finally:
            asyncio._set_running_loop(outer)


class Instance:
    """A workflow in memory, and what it asked for in its latest step."""

    def __init__(self, instance_id: int, workflow: Workflow, x: int, ended: Ended) -> None:
        self.id, self.workflow, self.input, self.ended = instance_id, workflow, x, ended
        self.loop = WorkflowLoop()  # type: ignore[abstract]
        self.task: asyncio.Task[Any] | None = None
        self.seq = 0
        self.commands: list[tuple[int, str, Any, Any]] = []
        self._numbers = itertools.count(1)
        self._futures: dict[int, asyncio.Future[Any]] = {}

    def activity(self, function: Activity, x: Any) -> asyncio.Future[Any]:
        return self._command("activity", function, x)

    def child(self, workflow: Workflow, x: int) -> asyncio.Future[Any]:
        return self._command("child", workflow, x)

    def _command(self, kind: str, function: Callable[..., Any], x: Any) -> asyncio.Future[Any]:
        number = next(self._numbers)
        self.commands.append((number, kind, function, x))
        future: asyncio.Future[Any] = asyncio.Future(loop=self.loop)
        self._futures[number] = future
        return future

    def begin(self) -> None:
        self.task = asyncio.Task(self.workflow(self, self.input), loop=self.loop, name="workflow")
        self.loop.run_until_it_waits()

    def resolve(self, number: int, result: bytes) -> None:
        self._futures.pop(number).set_result(decode(result))
        self.loop.run_until_it_waits()
