"""A Pydantic AI agent in a workflow: killed with -9 in each of its steps, it asks its model for nothing that was recorded."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.pydantic_ai_agent.trips import app, plan_trip
from perdure import Client, Orchestrator
from perdure.model.event import ActivityCompleted, ActivityScheduled

pytestmark = [
    # A run that leaves memory is closed; anyio's scopes in it then complain to nobody.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _what_was_closed_is_collected_here() -> Iterator[None]:
    yield
    gc.collect()


ROOT = Path(__file__).parents[2]
BOOKED = "You fly: TP 1926 to Porto is booked"
STEPS = ["model", "find_flights", "model", "book", "model"]

PROGRAM = """
import os, signal, sys
from pathlib import Path
from examples.pydantic_ai_agent import trips
from perdure import SyncOrchestrator

folder = Path(sys.argv[1])

def dying_once(name, function):
    # Notes each call, and dies in each first one.
    def noted(*args):
        with (folder / "log").open("a") as log:
            log.write(name + "\\n")
        calls = len((folder / "log").read_text().split())
        if calls % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return noted

trips.model.wrapped.function = dying_once("model", trips.play_model)
for step in (trips.find_flights, trips.book):
    plain = step.function
    step.function = dying_once(step.name, plain)
    step.function.__wrapped__ = plain

with SyncOrchestrator(f"sqlite:///{folder}/trips.db", trips.app) as perdure:
    start = trips.plan_trip.with_options(instance_id="trip", if_exists="use")
    print(perdure.start(start, "To Porto, please").result())
"""


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-W", "error", "-m", "examples.pydantic_ai_agent"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.stdout == f"{BOOKED}\n", done.stderr


async def test_agents_run_side_by_side(tmp_path: Path) -> None:
    async with Orchestrator(f"sqlite:///{tmp_path}/trips.db", app) as perdure:
        booked = await asyncio.gather(*(perdure.run(plan_trip, "To Porto, please") for _ in range(20)))

    assert booked == [BOOKED] * 20


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_no_call_that_was_recorded_is_repeated_after_kill_9(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60) for _ in range(6)]

    assert [run.returncode for run in runs] == [-9] * 5 + [0], runs[-1].stderr
    assert runs[-1].stdout == f"{BOOKED}\n"
    # Each was killed in its first call, which wasn't recorded, and came once more.
    assert (tmp_path / "log").read_text().split() == [step for step in STEPS for _ in range(2)]
    async with Client(f"sqlite:///{tmp_path}/trips.db") as client:
        events = [each.event async for each in client.history("trip")]
    scheduled = [event.name for event in events if isinstance(event, ActivityScheduled)]
    assert scheduled == ["ask_model" if step == "model" else step for step in STEPS]
    assert sum(isinstance(event, ActivityCompleted) for event in events) == len(STEPS)
