"""What callers send to an instance: signals and cancels, each once, whose ids are remembered."""

from __future__ import annotations

from perdure.backends.rows import STATES
from perdure.backends.rules.appending import append, arrived
from perdure.backends.rules.handback import hand_back_workflow_task
from perdure.backends.unit.unit import Unit
from perdure.model.transition import Appended, AppendEvent, NotAppended


def append_event(unit: Unit, transition: AppendEvent) -> Appended | NotAppended:
    row = unit.instance_by_id(transition.instance_id)
    if row is None:
        return NotAppended(None)
    if unit.has_seen(row, transition.message_id):
        return Appended()
    if not row.is_running:
        return NotAppended(STATES[row.state])
    unit.remember(row, transition.message_id, transition.keep)
    append(unit, row, arrived(transition.event, unit.now))
    return Appended(hand_back_workflow_task(unit, transition.offer, row))
