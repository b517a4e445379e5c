"""What becomes of a letter in the partition of its receiver, and then in that of its sender.

Both are batches like any other. A letter that was received before gives the answer that it gave then, and one that has left the
outbox isn't answered again: so whoever delivers it, and however often, it is one.
"""

from __future__ import annotations

import msgspec

from perdure.backends.endings import PARENT_CLOSED, cancel_child
from perdure.backends.letters import (
    ANSWERS_KEPT,
    Adopted,
    Answer,
    Cancel,
    Ended,
    Letter,
    ParentClosed,
    Reply,
    Signal,
    Start,
)
from perdure.backends.rows import RESHAPED, InstanceRow
from perdure.backends.rules.appending import append
from perdure.backends.rules.closing import terminate
from perdure.backends.rules.messages import arrive
from perdure.backends.unit.office import Office
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros
from perdure.model.options import ParentClose

_RELAYED_AT_ONCE = 1_000
_AFTER_ALL_TIMES: Micros = 1 << 52


def receive(unit: Unit, letter: Letter) -> Answer | None:
    """None if it has come too early, or too late."""
    assert unit.office is not None
    if (entry := unit.changes.received.get(letter.message_id)) is not None:
        return entry[1]
    # Mostly it comes for the first time, which the commit verifies.
    if unit.conflicts and (known := unit.office.answer_to(letter.message_id)) is not None:
        return known
    if letter.follows_start and not _is_there(unit, letter):
        return None
    if unit.now - letter.posted_at > ANSWERS_KEPT // 2 and not unit.office.is_still_posted(letter):
        return None  # whoever brings it has slept: it was settled long ago, and the answer may be forgotten
    answer = Answer(_take(unit, letter))
    unit.changes.received[letter.message_id] = letter, answer, unit.now + ANSWERS_KEPT
    return answer


def _is_there(unit: Unit, letter: Letter) -> bool:
    """Whether the sub-workflow is here that the letter is for."""
    child = unit.instance_by_id(letter.to)
    return child is not None and (child.parent_id, child.parent_execution) == (letter.sender_id, letter.execution_id)


def _take(unit: Unit, letter: Letter) -> Reply | None:
    match letter.body:
        case Start(message, key):
            if unit.conflicts:  # it may be taken
                key = unit.keys.draw(unit.now)
            return arrive(unit, letter.sender_id, letter.execution_id, message, key)
        case Signal(message) | Cancel(message):
            return arrive(unit, letter.sender_id, letter.execution_id, message)
        case Ended():
            _hear_of_end(unit, letter, letter.body)
        case ParentClosed():
            _close(unit, letter)
        case Adopted():
            _adopt(unit, letter, letter.body)
    return None


def _hear_of_end(unit: Unit, letter: Letter, ended: Ended) -> None:
    unit.put_away(letter.to, ended.parent_execution, letter.sender_id, is_there=None)
    parent = unit.instance_by_id(letter.to)
    if parent is not None and parent.is_running and parent.execution_id == ended.parent_execution:
        append(unit, parent, ended.event)


def _close(unit: Unit, letter: Letter) -> None:
    child = unit.instance_by_id(letter.to)
    if child is None or not child.is_running or not _is_there(unit, letter):
        return
    if child.parent_close == ParentClose.TERMINATE.value:
        terminate(unit, child, PARENT_CLOSED)
    elif child.parent_close == ParentClose.CANCEL.value:
        append(unit, child, cancel_child(unit.now))


def _adopt(unit: Unit, letter: Letter, adopted: Adopted) -> None:
    unit.put_away(letter.to, adopted.parent_execution, letter.sender_id, is_there=True)
    parent = unit.instance_by_id(letter.to)
    if parent is not None and parent.execution_id == adopted.parent_execution:
        parent.children += 1
        unit.change(parent, RESHAPED)


def settle(unit: Unit, letter: Letter, answer: Answer) -> None:
    """In the sender's partition: the letter goes, and its answer is written, at once."""
    assert unit.office is not None
    if letter.message_id in unit.changes.settled_letters:
        return
    if unit.conflicts and not unit.office.has_posted(letter.message_id):
        return  # somebody else was faster
    unit.changes.settled_letters[letter.message_id] = letter.sender_key
    match letter.body:
        case Start():
            unit.put_away(letter.sender_id, letter.execution_id, letter.to, None if answer.event is not None else True)
        case ParentClosed():
            unit.put_away(letter.sender_id, letter.execution_id, letter.to, None)
        case _:
            pass
    sender = unit.instance(letter.sender_key)
    if answer.event is not None and sender is not None and _awaits(sender, letter):
        append(unit, sender, answer.event)


def _awaits(sender: InstanceRow, letter: Letter) -> bool:
    return sender.is_running and sender.execution_id == letter.execution_id


def relay(unit: Unit) -> None:
    """Have those letters delivered that whoever wrote them hasn't."""
    if unit.office is not None:
        unit.flush()
        unit.wakes.letters += [_of_now(unit.office, letter) for letter in unit.office.due(unit.now, _RELAYED_AT_ONCE)]


def relay_all(unit: Unit) -> int:
    """Of all partitions, until none is left; how many there were."""
    assert unit.office is not None
    unit.flush()
    letters = unit.office.due(_AFTER_ALL_TIMES, _RELAYED_AT_ONCE)
    unit.wakes.letters += [_of_now(unit.office, letter) for letter in letters]
    return len(letters)


def _of_now(office: Office, letter: Letter) -> Letter:
    """The start that it follows may have arrived meanwhile, or been refused."""
    if not letter.follows_start:
        return letter
    is_there = office.children_away(letter.sender_id, letter.execution_id).get(letter.to)
    return msgspec.structs.replace(letter, follows_start=is_there is False)
