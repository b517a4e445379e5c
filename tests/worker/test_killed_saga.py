"""A saga whose process is killed with -9 in each of its steps, on the way there and on the way back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perdure import Client, WorkflowFailed
from perdure.model.event import ActivityScheduled

PROGRAM = """
import os, signal, sys
from pathlib import Path
from perdure import *

folder = Path(sys.argv[1])

@activity
async def step(name: str) -> str:
    with (folder / "log").open("a") as log:
        log.write(name + "\\n")
    if not (folder / name).exists():
        (folder / name).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return name

@workflow
async def trip(ctx: Context) -> None:
    async with ctx.compensations() as undo:
        for name in ("flight", "hotel"):
            undo.add(step, f"no {await ctx.execute_activity(step, name)}")
        raise ValueError("it rains")

with SyncOrchestrator(f"sqlite:///{folder}/trips.db", App(workflows=[trip], activities=[step])) as perdure:
    perdure.start(trip.with_options(instance_id="trip", if_exists="use")).wait()
"""
STEPS = ["flight", "hotel", "no hotel", "no flight"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_each_step_is_recorded_and_taken_back_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    codes = [subprocess.run(command, timeout=60).returncode for _ in range(5)]

    assert codes == [-9, -9, -9, -9, 0]
    # Killed before its end was recorded, each step ran once more; in their order.
    assert (tmp_path / "log").read_text().split("\n")[:-1] == [step for step in STEPS for _ in range(2)]
    async with Client(f"sqlite:///{tmp_path}/trips.db") as client:
        with pytest.raises(WorkflowFailed, match="it rains"):
            await client.result("trip")
        events = [event.event async for event in client.history("trip")]
    scheduled = [event.arguments for event in events if isinstance(event, ActivityScheduled)]
    assert scheduled == [f'["{step}"]'.encode() for step in STEPS]
