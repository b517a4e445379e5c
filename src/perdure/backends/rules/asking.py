"""Questions to the worker that has an execution in memory, and their answers. Nothing of it outlives the asker.

What nobody holds is any worker's who could: one of them is told, the same one each time, who may have a replica by then; whoever
looks first takes the question.
"""

from __future__ import annotations

from binascii import crc32

from perdure.backends.protocol import Question
from perdure.backends.rows import InstanceRow
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros


def post(unit: Unit, question_id: bytes, instance_id: str, request: bytes, keep: Micros) -> bool:
    """Put the question before a worker. False if there is none for it."""
    row = unit.instance_by_id(instance_id)
    worker = None if row is None else row.worker or _somebody(unit, row)
    if worker is None:
        return False
    unit.tables.insert_question(Question(question_id, instance_id, request), unit.now + keep)
    unit.wakes.questions.add(worker)
    return True


def expect(unit: Unit, question_id: bytes, keep: Micros) -> bool:
    """Wait for an answer to what no worker is asked here."""
    unit.tables.insert_question(Question(question_id, "", b""), unit.now + keep)
    return True


def _somebody(unit: Unit, row: InstanceRow) -> int | None:
    unit.flush()
    able: list[int] = []
    for key in sorted(unit.tables.all_workers()):
        start = unit.worker(key)
        if start is not None and start.serves(row.queue, row.workflow, row.version):
            able.append(key)
    return able[crc32(row.instance_id.encode()) % len(able)] if able else None


def take(unit: Unit, worker_key: int) -> list[Question]:
    start = unit.worker(worker_key)
    if start is None:
        return []
    unit.flush()
    return unit.tables.take_questions(worker_key, start)


def answer(unit: Unit, question_id: bytes, reply: bytes) -> None:
    if unit.tables.answer_question(question_id, reply):
        unit.wakes.replies[question_id] = reply


def withdraw(unit: Unit, question_id: bytes) -> None:
    """The asker waits no longer."""
    unit.tables.delete_question(question_id)
