from __future__ import annotations

from typing import Any

import pytest

from perdure.backends.endings import deadline_at, tell_parent, waits_until
from perdure.model.event import SubWorkflowCompleted, SubWorkflowFailed
from perdure.model.failure import plain_failure
from perdure.model.instance import Outcome, State

FAILURE = plain_failure("Broken", "it broke")


def outcome(state: State, **parts: Any) -> Outcome:
    return Outcome(instance_id="child", workflow="ship", state=state, **parts)


def test_a_result_is_told_as_it_is() -> None:
    told = tell_parent(3, outcome(State.COMPLETED, result=b"7"), 9)
    assert told == SubWorkflowCompleted(at=9, number=3, result=b"7")


@pytest.mark.parametrize(
    ("ended", "type_name", "cancelled"),
    [
        (outcome(State.FAILED, failure=FAILURE), "Broken", False),
        (outcome(State.CANCELLED), "SubWorkflowCancelled", True),
        (outcome(State.TERMINATED, reason="fraud"), "SubWorkflowTerminated", False),
    ],
)
def test_every_other_end_is_a_failure(ended: Outcome, type_name: str, cancelled: bool) -> None:
    told = tell_parent(3, ended, 9)
    assert isinstance(told, SubWorkflowFailed)
    assert (told.number, told.failure.type_name, told.cancelled, told.refused) == (3, type_name, cancelled, False)


def test_an_activity_waits_until_the_first_of_its_limits() -> None:
    assert waits_until(0, 50, None, None) is None
    assert waits_until(0, 50, 100, None) == (100, "total_timeout")
    assert waits_until(0, 50, 100, 20) == (70, "queue_timeout")
    assert waits_until(0, 50, 60, 20) == (60, "total_timeout")


def test_a_deadline_counts_from_the_end_of_the_delay() -> None:
    assert deadline_at(10, 5, 100) == 115
    assert deadline_at(10, 5, None) is None
