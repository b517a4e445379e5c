"""Questions to the worker that has an execution in memory, and their answers. Nothing of it outlives the asker."""

from __future__ import annotations

from perdure.backends.memory.leasing import alive
from perdure.backends.memory.rows import QuestionRow, WorkerRow
from perdure.backends.memory.tables import Tables
from perdure.backends.protocol import Question
from perdure.clock import Micros


def post(tables: Tables, instance_id: str, request: bytes, expires_at: Micros) -> QuestionRow | None:
    """The question, before the worker that holds the instance; None if nobody holds it."""
    row = tables.by_id.get(instance_id)
    if row is None or row.worker is None:
        return None
    question_id = tables.random_token().to_bytes(8) + tables.random_token().to_bytes(8)
    question = QuestionRow(Question(question_id, instance_id, request), expires_at)
    tables.questions[question_id] = question
    tables.ring(row.worker.bell)
    return question


def has_questions(tables: Tables, worker: WorkerRow) -> bool:
    return any(not row.is_taken and _holder(tables, row) is worker for row in tables.questions.values())


def take(tables: Tables, worker_key: int) -> list[Question]:
    worker = alive(tables, worker_key)
    if worker is None:
        return []
    rows = [row for row in tables.questions.values() if not row.is_taken and _holder(tables, row) is worker]
    for row in rows:
        row.is_taken = True
    return [row.question for row in rows]


def answer(tables: Tables, question_id: bytes, reply: bytes) -> None:
    row = tables.questions.get(question_id)
    if row is not None and not row.is_answered:
        row.reply, row.is_answered = reply, True
        tables.ring(row.bell)


def _holder(tables: Tables, row: QuestionRow) -> WorkerRow | None:
    instance = tables.by_id.get(row.question.instance_id)
    return None if instance is None else instance.worker
