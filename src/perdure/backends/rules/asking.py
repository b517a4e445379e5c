"""Questions to the worker that has an execution in memory, and their answers. Nothing of it outlives the asker."""

from __future__ import annotations

from perdure.backends.protocol import Question
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros


def post(unit: Unit, question_id: bytes, instance_id: str, request: bytes, keep: Micros) -> bool:
    """Put the question before the worker that holds the instance. False if nobody holds it."""
    row = unit.instance_by_id(instance_id)
    if row is None or row.worker is None:
        return False
    unit.tables.insert_question(Question(question_id, instance_id, request), unit.now + keep)
    unit.wakes.questions.add(row.worker)
    return True


def take(unit: Unit, worker_key: int) -> list[Question]:
    if unit.worker(worker_key) is None:
        return []
    unit.flush()
    return unit.tables.take_questions(worker_key)


def answer(unit: Unit, question_id: bytes, reply: bytes) -> None:
    if unit.tables.answer_question(question_id, reply):
        unit.wakes.replies[question_id] = reply


def withdraw(unit: Unit, question_id: bytes) -> None:
    """The asker waits no longer."""
    unit.tables.delete_question(question_id)
