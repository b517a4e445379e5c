"""W3: the guard names what workflow code does that isn't deterministic, and the line, and nothing else."""

from __future__ import annotations

import inspect
import logging
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from perdure import App, ConfigurationError, Context, Orchestrator, WorkflowFailed, activity, workflow
from perdure.testing import NonDeterministicCall, WorkflowTester

HERE = Path(__file__)


def reads_this_file() -> object:
    return HERE.read_text()


def connects() -> object:
    with socket.socket() as made:
        return made.connect_ex(("127.0.0.1", 9))


def starts_a_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


USES: dict[str, tuple[Callable[[], object], str, str]] = {
    "time": (lambda: time.time(), "time.time", "ctx.now()"),  # noqa: PLW0108 - the call itself
    "monotonic": (lambda: time.monotonic(), "time.monotonic", "ctx.now()"),  # noqa: PLW0108
    "sleep": (lambda: time.sleep(0), "time.sleep", "ctx.sleep()"),
    "now": (lambda: datetime.now(UTC), "datetime.now", "ctx.now()"),
    "today": (lambda: date.today(), "date.today", "ctx.now()"),  # noqa: PLW0108
    "random": (lambda: random.random(), "random.random", "ctx.random"),  # noqa: PLW0108
    "randint": (lambda: random.randint(1, 6), "random.randint", "ctx.random"),
    "shuffle": (lambda: random.shuffle([1, 2]), "random.shuffle", "ctx.random"),
    "uuid4": (lambda: uuid.uuid4(), "uuid.uuid4", "ctx.uuid4()"),  # noqa: PLW0108
    "urandom": (lambda: os.urandom(4), "os.urandom", "ctx.side_effect()"),
    "file": (reads_this_file, "pathlib.", "an activity"),
    "folder": (lambda: [*HERE.parent.iterdir()], "pathlib.", "an activity"),
    "temporary": (lambda: tempfile.mkdtemp(), "tempfile.mkdtemp", "use"),  # noqa: PLW0108
    "network": (connects, "socket", "an activity"),
    "process": (lambda: subprocess.run(["true"], check=True), "subprocess.run", "an activity"),
    "thread": (starts_a_thread, "threading.start", "an activity"),
}


@activity
async def reads_a_clock_as_it_may() -> float:
    return time.time()


@workflow
async def using(ctx: Context, name: str) -> None:
    USES[name][0]()


@workflow
async def careful(ctx: Context) -> None:
    """Nothing here counts."""
    import colorsys  # a file is read

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert ctx.now().year >= 2026
    assert ctx.uuid4().version == 4
    assert ctx.random.random() + random.Random(7).random() < 2
    await ctx.side_effect(time.time)
    await ctx.side_effect(lambda: uuid.uuid4().hex)
    await ctx.execute_activity(reads_a_clock_as_it_may)
    logging.getLogger("shop").warning("logging reads the clock")
    ctx.logger.warning("this, too")
    await ctx.sleep(1)


app = App(workflows=[using, careful], activities=[reads_a_clock_as_it_may])


@pytest.mark.parametrize("name", USES)
async def test_w3_the_tester_warns_of_the_call_and_the_line(name: str) -> None:
    function, call, instead = USES[name]
    first = inspect.getsourcelines(function)[1]
    with pytest.warns(NonDeterministicCall) as told:
        async with WorkflowTester(app) as tester:
            await tester.run(using, name)

    texts = [str(each.message) for each in told]
    assert any(call in text and instead in text for text in texts), texts
    assert all(each.filename == __file__ and 0 <= each.lineno - first < 6 for each in told), texts


async def test_w3_what_replay_repeats_is_not_warned_of() -> None:
    async with WorkflowTester(app, guard="raise") as tester:
        await tester.run(careful)


async def test_w3_it_can_raise_where_the_call_is() -> None:
    async with WorkflowTester(app, guard="raise") as tester:
        with pytest.raises(WorkflowFailed, match=r"uses time\.time in a workflow, which replay can't repeat: use ctx"):
            await tester.run(using, "time")


async def test_w3_workers_have_it_off_unless_told(caplog: pytest.LogCaptureFixture) -> None:
    async with Orchestrator("memory://", app) as perdure:
        await perdure.run(using, "time")
    assert "time.time" not in caplog.text

    async with Orchestrator("memory://", app, guard="warn") as perdure:
        await perdure.run(using, "time")
        await perdure.run(using, "time")
    assert caplog.text.count("time.time") == 1


async def test_w3_what_goes_on_beside_workflow_code_is_not_its_own() -> None:
    async with WorkflowTester(app, guard="raise") as tester:
        stop = threading.Event()

        def reads_clocks() -> None:
            while not stop.is_set():
                time.time()

        thread = threading.Thread(target=reads_clocks)
        thread.start()
        try:
            await tester.run(careful)
        finally:
            stop.set()
            thread.join()
        assert time.time() > 0


def test_w3_another_mode_is_refused() -> None:
    wrong: Any = "loud"
    with pytest.raises(ConfigurationError, match="it must be off, warn or raise"):
        WorkflowTester(app, guard=wrong)
