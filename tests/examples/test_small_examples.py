"""Each small example runs by itself and prints what its text promises."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

OUTPUTS = {
    "hello": "Hello, Ada!\nHello, Grace!",
    "timer": "Time for tea.\nWe had tea\nTime for tea.\nWe had water",
    "signals": "to pay: 1650\nlast seen: 1650",
    "auction": "Now at 100 by Ada\nBob was refused: 90 isn't over 100\nStill at 100 by Ada\nIt goes to Ada",
    "approval": (
        "To the team lead: is 'a chair' all right?\n"
        "Chair: granted by Ada\n"
        "To the team lead: is 'a yacht' all right?\n"
        "To the director: is 'a yacht' all right?\n"
        "Yacht: nobody answered"
    ),
    "sub_workflows": "['a roll', 'a pancake']\nno cake: it is black\nthe-cake failed",
    "cancellation": "undone: flight to Lisbon\ntrip '…' was cancelled",
    "errors_and_retries": (
        "attempt 1 to charge old card\n"
        "attempt 1 to charge visa\n"
        "attempt 2 to charge visa\n"
        "attempt 3 to charge visa\n"
        "500 cents from visa\n"
        "attempt 1 to charge old card\n"
        "failed: ValueError('none of 1 cards works')"
    ),
    "select_first": "clock: closed at 90\nvase: time is up at 40\nno bid so far\na bid of 7 is waiting",
    "concurrent_activities": "with_gather 2470\nwith_a_task_group 2470\nthree_at_a_time 2470",
    "continue_as_new": (
        "balance: 55\nexecutions: ['1 continued_as_new', '2 continued_as_new', '3 continued_as_new', '4 completed']"
    ),
    "complex_parameters": (
        "Ada Size.LARGE Place(latitude=38.7, longitude=-9.1) 0:06:00\n"
        "ArgumentsError: dispatch(): parcel: …\n"
        "EncodeError: dispatch(): parcel: builtins.object can't be stored: …"
    ),
    "queues": ("30 pictures fetched after … s; they wait, for the queue is paused\nrecognised 30, at most 2 at once"),
    "saga": (
        "booked: flight to Porto\nbooked: hotel in Porto\nbooked: flight to Lisbon\n"
        "given back: flight to Lisbon\ngiven back: hotel in Porto\ngiven back: flight to Porto\n"
        "no trip: no room in Lisbon"
    ),
    "flask_orders": (
        "PUT {'id': '7'}\nPUT {'id': '7'}\n"
        "GET a cup for acme\nGET {'id': '7', 'state': 'completed'}\nGET there is no order 8"
    ),
    "task_queue": (
        "'Hello' sent to ada@example.org in attempt 3\n"
        "['cup.jpg is 64 wide', 'cup.jpg is 512 wide']\n"
        "the same task: True\n"
        "not to Bob: cancelled\n"
        "ValueError('3 cents is too little')\n"
        "mails: {<State.COMPLETED: 'completed'>: 2, <State.CANCELLED: 'cancelled'>: 1}"
    ),
    "activity_objects": "opened\nin stock: 42\nclosed",
}


@pytest.mark.parametrize("name", OUTPUTS)
async def test_an_example_prints_what_it_promises(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"examples.{name}")

    outcome = module.main()
    if inspect.isawaitable(outcome):
        await outcome

    assert_matches(capsys.readouterr().out, OUTPUTS[name])


def test_an_example_runs_as_a_program() -> None:
    assert run_example("hello") == "Hello, Ada!\nHello, Grace!\n"


def test_a_client_and_a_worker_share_a_store_across_processes() -> None:
    assert run_example("client_and_worker") == "shipped 2 items in another process\n"


def test_every_example_is_tested() -> None:
    files = {path.stem for path in EXAMPLES.glob("*.py")}

    assert files == {*OUTPUTS, "client_and_worker"}


def test_an_example_can_be_read_alone() -> None:
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert "from examples" not in text, path.name
        assert f"python -m examples.{path.stem}" in text, path.name
        assert len(text.splitlines()) <= 90, path.name


def run_example(name: str) -> str:
    command = [sys.executable, "-W", "error", "-m", f"examples.{name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def assert_matches(output: str, expected: str) -> None:
    """Line by line; `…` stands for anything."""
    lines, patterns = output.splitlines(), expected.splitlines()
    assert len(lines) == len(patterns), output
    for line, pattern in zip(lines, patterns, strict=True):
        head, dots, tail = pattern.partition("…")
        fits = line.startswith(head) and line.endswith(tail) if dots else line == pattern
        assert fits, f"{line!r} isn't {pattern!r}"
