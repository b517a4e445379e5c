"""E1, E3: how events were grouped, where an execution left memory and where its history is cut change nothing.

Random workflows (programs.py) meet random events; the longer profile is under the mark `soak`.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.model.event import ActivityCompleted, ActivityFailed, CancelRequested, SignalReceived, UpdateRequested
from perdure.serialization.failures import to_failure
from tests.engine.harness import EPOCH, Run, close_open
from tests.engine.programs import Program, impure, programs, workflow_of

quiet = logging.getLogger("tests.quiet")
quiet.disabled = True

choices = st.lists(
    st.tuples(st.integers(0, 1_000_000), st.lists(st.integers(0, 30), min_size=1, max_size=3)), min_size=4, max_size=16
)


class Step(NamedTuple):
    """One workflow task: the time of the claim, and what has arrived."""

    now: int
    events: tuple[Any, ...]


def steps_of(program: Program, chosen: list[tuple[int, list[int]]]) -> list[Step]:
    """What happens to this program: each choice is of what is possible then."""
    impure.begin()
    run = Run(workflow_of(program), logger=quiet)
    steps: list[Step] = []
    arrived: set[int] = set()
    for later, numbers in chosen:
        if run.end != "running":
            break
        due_at = run.checkpoints[-1].next_timer_at
        run.now = run.now + later if due_at is None or later % 3 else max(run.now, due_at)
        events = tuple(event for each in numbers if (event := _event(run, each, arrived)) is not None)
        run.feed(*events)
        steps.append(Step(run.now, events))
    return steps


def _event(run: Run, choice: int, arrived: set[int]) -> Any:
    if choice == 7:
        return CancelRequested(at=run.now)
    if 7 < choice < 12:
        return SignalReceived(at=run.now, name="ping", payload=b"%d" % choice)
    if 11 < choice < 16:
        update_id = b"%d" % (run.now + choice)
        return UpdateRequested(
            at=run.now, update_id=update_id, name="poke", arguments=b"[%d]" % choice, reply_to=update_id
        )
    waiting = [number for number in run.activities if number not in arrived]
    if not waiting:
        return None
    number = waiting[choice % len(waiting)]
    arrived.add(number)
    if choice in (5, 6):
        return ActivityFailed(at=run.now, number=number, failure=to_failure(KeyError("k"), run.app.payloads))
    if choice in (3, 4):
        failure = to_failure(RuntimeError("told to stop"), run.app.payloads)
        return ActivityFailed(at=run.now, number=number, failure=failure, cancelled=True)
    return ActivityCompleted(at=run.now, number=number, result=b'"r%d"' % number)


def played(program: Program, steps: list[Step], *, split: bool = False, evicting: bool = False) -> Run:
    """The run of these steps; split, each event is a task of its own."""
    impure.begin()
    run = Run(workflow_of(program), evicting=evicting, logger=quiet)
    play(run, steps, split=split)
    return run


def play(run: Run, steps: list[Step], *, split: bool = False) -> None:
    for now, events in steps:
        run.now = now
        for group in groups_of(events) if split else [events]:
            if run.end == "running":
                run.feed(*group)


def groups_of(events: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """One by one; no event is a task, too: for timers."""
    return [(each,) for each in events] if events else [()]


def check_grouping(program: Program, steps: list[Step]) -> None:
    assert played(program, steps, split=True).history == played(program, steps).history


def check_cuts(program: Program, steps: list[Step]) -> None:
    whole = played(program, steps)
    whole.assert_replays()
    for index in range(len(steps)):
        begun = played(program, steps[:index])
        begun.evict()
        play(begun, steps[index:])
        assert begun.history == whole.history


def check_eviction(program: Program, steps: list[Step]) -> None:
    kept, evicted = played(program, steps), played(program, steps, evicting=True)
    assert kept.history == evicted.history
    assert kept.checkpoints == evicted.checkpoints
    assert kept.replies == evicted.replies
    evicted.assert_replays()


CHECKS = {"grouping": check_grouping, "cuts": check_cuts, "eviction": check_eviction}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))


def holds(check: str, program: Program, chosen: list[tuple[int, list[int]]]) -> None:
    try:
        CHECKS[check](program, steps_of(program, chosen))
    finally:
        close_open()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", CHECKS)
@QUICK
@given(program=programs, chosen=choices)
def test_the_property_holds(check: str, program: Program, chosen: list[tuple[int, list[int]]]) -> None:
    """E1, E3: grouping, cuts, eviction."""
    holds(check, program, chosen)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", CHECKS)
@LONG
@given(program=programs, chosen=choices)
def test_the_property_holds_for_long(check: str, program: Program, chosen: list[tuple[int, list[int]]]) -> None:
    """E1, E3: the same with many more programs."""
    holds(check, program, chosen)


def test_the_programs_do_something() -> None:
    """The properties would hold for programs that never run."""
    program: Program = (("group", ((("act", "a", "wait"),), (("sleep", 1), ("facts",)))), ("side_effect",))
    steps = [Step(EPOCH + 5_000_000, ()), Step(EPOCH + 5_000_000, ())]
    run = played(program, steps)
    assert run.kinds() == ["ExecutionStarted", "ActivityScheduled", "ActivityScheduled", "TimerSet", "TimerFired"]
