"""Every command's life is a table: each row leads somewhere, and what isn't in it is a divergence."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.machines import machine as states
from perdure.engine.machines.activity import ActivityMachine
from perdure.engine.machines.instant import PatchMachine, SideEffectMachine
from perdure.engine.machines.machine import Machine
from perdure.engine.machines.signal import SignalMachine
from perdure.engine.machines.sub_workflow import SubWorkflowMachine
from perdure.engine.machines.timer import TimerMachine
from perdure.errors import NonDeterminismError

KINDS: list[type[Machine]] = [
    ActivityMachine, SubWorkflowMachine, TimerMachine, SignalMachine, SideEffectMachine, PatchMachine,
]  # fmt: skip
STATES = {states.ISSUED, states.RECORDED, states.ASKED, states.ABANDONED, states.DROPPED, states.DONE}
INPUTS = {states.RECORD, states.ASK, states.ABANDON, states.COMPLETED, states.FAILED, states.FIRED}


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.kind)
def test_every_row_is_made_of_states_and_inputs(kind: type[Machine]) -> None:
    assert {state for state, _ in kind.table} <= STATES
    assert {fact for _, fact in kind.table} <= INPUTS
    assert {state for state, _ in kind.table.values()} <= STATES


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.kind)
def test_every_state_in_the_table_can_be_reached_and_leads_to_an_end(kind: type[Machine]) -> None:
    reached = {states.ISSUED}
    for _ in STATES:
        reached |= {after for (before, _), (after, _) in kind.table.items() if before in reached}
    assert {state for state, _ in kind.table} <= reached
    ends = {states.DONE, states.DROPPED}
    for state in reached - ends:
        found = {state}
        for _ in STATES:
            found |= {after for (before, _), (after, _) in kind.table.items() if before in found}
        assert found & ends, f"{state} leads nowhere"


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.kind)
def test_every_row_that_isnt_there_is_a_divergence(kind: type[Machine]) -> None:
    """E2: the missing row is the determinism error, and says what was expected."""
    for state in STATES:
        for fact in INPUTS:
            if (state, fact) not in kind.table:
                fresh: Any = kind.__new__(kind)
                fresh.number, fresh.state = 7, state
                with pytest.raises(NonDeterminismError, match=f"{kind.kind} 7 is {state}, and history says it {fact}"):
                    fresh.feed(fact)
                assert fresh.state == state


@pytest.mark.parametrize("kind", [ActivityMachine, SubWorkflowMachine, SignalMachine], ids=lambda each: each.kind)
def test_what_can_be_answered_is_answered_once_in_every_state_that_waits(kind: type[Machine]) -> None:
    for state in (states.RECORDED, states.ASKED, states.ABANDONED):
        if any(before == state for before, _ in kind.table):
            for fact in (states.COMPLETED, states.FAILED):
                assert kind.table[state, fact][0] == states.DONE
    assert (states.DONE, states.COMPLETED) not in kind.table
