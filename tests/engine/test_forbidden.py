"""W3: what can't be deterministic is refused by name, with what to use instead."""

from __future__ import annotations

import asyncio
import inspect
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.engine.forbidden import _ADVICE, ForbiddenCalls
from perdure.engine.loop import WorkflowLoop
from perdure.errors import NotInWorkflow
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act

Call = Callable[[asyncio.AbstractEventLoop], Any]


def refusal(call: Call) -> str:
    """What the call says in a workflow."""

    @workflow
    async def tries(ctx: Context) -> str:
        try:
            made = call(asyncio.get_running_loop())
            if isinstance(made, Awaitable):
                await made
        except NotInWorkflow as problem:
            return str(problem)
        return "not refused"

    run = Run(tries)
    assert run.kinds() == ["ExecutionStarted", "ExecutionCompleted"]
    return str(run.result)


@pytest.mark.parametrize("name", _ADVICE)
def test_a_forbidden_method_names_itself_and_the_way_out(name: str) -> None:
    """W3."""
    said = refusal(lambda loop: getattr(loop, name)("anything", a=1))

    assert said.startswith(f"loop.{name} can't be used in a workflow: ")
    assert said.endswith(_ADVICE[name])


def test_every_method_of_a_loop_is_there_or_refused_with_advice() -> None:
    """W3: never asyncio's bare NotImplementedError, on any Python."""
    abstract = asyncio.AbstractEventLoop
    missing = [
        name
        for name, method in inspect.getmembers(abstract, inspect.isfunction)
        if not name.startswith("_") and getattr(WorkflowLoop, name) is method
    ]
    assert missing == []
    assert all(hasattr(abstract, name) for name in _ADVICE)
    assert all(hasattr(ForbiddenCalls, name) for name in _ADVICE)


CALLS: dict[str, Call] = {
    "to_thread": lambda _: asyncio.to_thread(print),
    "open_connection": lambda _: asyncio.open_connection("localhost", 1),
    "start_server": lambda _: asyncio.start_server(print, "localhost", 1),
    "create_subprocess_exec": lambda _: asyncio.create_subprocess_exec("true"),
    "create_subprocess_shell": lambda _: asyncio.create_subprocess_shell("true"),
    "run_in_executor": lambda loop: loop.run_in_executor(None, print),
    "run_coroutine_threadsafe": lambda loop: threadsafe(loop),  # noqa: PLW0108 - defined below
    "add_signal_handler": lambda loop: loop.add_signal_handler(signal.SIGTERM, print),
    "getaddrinfo": lambda loop: loop.getaddrinfo("localhost", 1),
    "sock_connect": lambda loop: loop.sock_connect(socket.socket.__new__(socket.socket), ("localhost", 1)),
    "add_reader": lambda loop: loop.add_reader(0, print),
    "run_until_complete": lambda loop: loop.run_until_complete(loop.create_future()),
    "stop": lambda loop: loop.stop(),
    "set_task_factory": lambda loop: loop.set_task_factory(None),
    "set_debug": lambda loop: loop.set_debug(True),
}
if hasattr(asyncio, "open_unix_connection"):
    CALLS["open_unix_connection"] = lambda _: asyncio.open_unix_connection("/nowhere")


def threadsafe(loop: asyncio.AbstractEventLoop) -> Any:
    coroutine = asyncio.sleep(0)
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop)
    finally:
        coroutine.close()


@pytest.mark.parametrize("name", CALLS)
def test_what_people_call_is_refused(name: str) -> None:
    """W3: through asyncio's own functions."""
    assert "can't be used in a workflow" in refusal(CALLS[name])


def test_a_refused_call_can_be_caught_and_the_workflow_goes_on(evicting: bool) -> None:
    """W3: an Exception like others; uncaught it fails the workflow."""

    @workflow
    async def goes_on(ctx: Context, is_careful: bool) -> str:
        try:
            await asyncio.to_thread(print)
        except NotInWorkflow:
            if not is_careful:
                raise
        return str(await act(ctx, "a"))

    run = Run(goes_on, True, evicting=evicting)
    run.to_end()
    assert run.result == "A"
    assert Run(goes_on, False).failure.type_name == "NotInWorkflow"


def test_another_thread_cant_reach_the_loop() -> None:
    """W3: call_soon_threadsafe says so in that thread; asyncio finds no running loop there."""
    said: list[str] = []

    @workflow
    async def starts_a_thread(ctx: Context) -> None:
        loop = asyncio.get_running_loop()

        def reach() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotInWorkflow as problem:
                said.append(str(problem))
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                said.append("no loop")

        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()

    Run(starts_a_thread)
    assert ["signal it" in said[0], said[1]] == [True, "no loop"]
