"""Questions to the worker that has an execution in memory, and their answers. Nothing of it outlives the asker."""

from __future__ import annotations

from perdure.backends.memory.leasing import alive
from perdure.backends.memory.rows import InstanceRow, QuestionRow, WorkerRow
from perdure.backends.memory.tables import Tables
from perdure.backends.protocol import Question
from perdure.clock import Micros


def post(tables: Tables, instance_id: str, request: bytes, expires_at: Micros) -> QuestionRow | None:
    """The question, before the workers that may answer; None if there is none."""
    row = tables.by_id.get(instance_id)
    able = [] if row is None else [worker for worker in tables.workers.values() if _may_answer(worker, row)]
    if not able:
        return None
    question_id = tables.random_token().to_bytes(8) + tables.random_token().to_bytes(8)
    question = QuestionRow(Question(question_id, instance_id, request), expires_at)
    tables.questions[question_id] = question
    for worker in able:
        tables.ring(worker.asked)
    return question


def expect(tables: Tables, question_id: bytes, expires_at: Micros) -> QuestionRow:
    """Wait for an answer to what no worker is asked here."""
    question = tables.questions[question_id] = QuestionRow(Question(question_id, "", b""), expires_at, is_taken=True)
    return question


def has_questions(tables: Tables, worker: WorkerRow) -> bool:
    return any(_is_for(tables, worker, row) for row in tables.questions.values())


def take(tables: Tables, worker_key: int) -> list[Question]:
    worker = alive(tables, worker_key)
    if worker is None:
        return []
    rows = [row for row in tables.questions.values() if _is_for(tables, worker, row)]
    for row in rows:
        row.is_taken = True
    return [row.question for row in rows]


def answer(tables: Tables, question_id: bytes, reply: bytes) -> None:
    row = tables.questions.get(question_id)
    if row is not None and not row.is_answered:
        row.reply, row.is_answered = reply, True
        tables.ring(row.bell)


def _is_for(tables: Tables, worker: WorkerRow, question: QuestionRow) -> bool:
    row = None if question.is_taken else tables.by_id.get(question.question.instance_id)
    return row is not None and _may_answer(worker, row)


def _may_answer(worker: WorkerRow, row: InstanceRow) -> bool:
    """Whether it holds the instance, or could while nobody does."""
    if row.worker is not None:
        return row.worker is worker
    return not worker.is_dead and worker.start.serves(row.queue, row.workflow, row.version)
