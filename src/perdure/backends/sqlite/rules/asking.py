"""Questions to the worker that has an execution in memory, and their answers. Nothing of it outlives the asker."""

from __future__ import annotations

from perdure.backends.protocol import Question
from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.unit import Unit
from perdure.clock import Micros


def post(unit: Unit, question_id: bytes, instance_id: str, request: bytes, keep: Micros) -> bool:
    """Put the question before the worker that holds the instance. False if nobody holds it."""
    row = unit.instance_by_id(instance_id)
    if row is None or row.worker is None:
        return False
    unit.connection.execute(sql.INSERT_QUESTION, (question_id, instance_id, request, unit.now + keep))
    unit.wakes.questions.add(row.worker)
    return True


def take(unit: Unit, worker_key: int) -> list[Question]:
    if unit.worker(worker_key) is None:
        return []
    unit.flush()
    found = unit.connection.execute(sql.QUESTIONS_FOR, (worker_key,)).fetchall()
    for question_id, _, _ in found:
        unit.connection.execute(sql.TAKE_QUESTION, (question_id,))
    return [Question(question_id, instance_id, request) for question_id, instance_id, request in found]


def answer(unit: Unit, question_id: bytes, reply: bytes) -> None:
    changed = unit.connection.execute(sql.ANSWER_QUESTION, (reply, question_id)).rowcount
    if changed:
        unit.wakes.replies[question_id] = reply


def withdraw(unit: Unit, question_id: bytes) -> None:
    """The asker waits no longer."""
    unit.connection.execute(sql.DELETE_QUESTION, (question_id,))
