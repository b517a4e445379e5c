"""How instances ended, and what was replied."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.backends.looking import not_found
from perdure.backends.rows import STATES, decode_outcome
from perdure.backends.sql.session import Session
from perdure.backends.wakes import Wakes
from perdure.model.instance import Outcome


def read_outcome(session: Session, instance_id: str) -> Outcome | None:
    """None while it runs. Raises InstanceNotFound."""
    found = session.execute(
        "select workflow, state, outcome from perdure_instances where instance_id = ?", (instance_id,)
    ).fetchone()
    if found is None:
        raise not_found(instance_id)
    return None if found[1] == 0 else _outcome(instance_id, *found)


def read_ended(session: Session, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
    """Which of these instances have ended or gone, and which of these questions are answered."""
    wakes = Wakes()
    running: set[str] = set()
    found = session.execute(
        "select instance_id, workflow, state, outcome from perdure_instances where instance_id {one_of_texts}",
        (session.dialect.texts(ids),),
    )
    for instance_id, workflow, state, outcome in found.fetchall():
        if state == 0:
            running.add(instance_id)
        else:
            wakes.outcomes[instance_id] = _outcome(instance_id, workflow, state, outcome)
    wakes.gone.update(name for name in ids if name not in running and name not in wakes.outcomes)
    for question_id in questions:
        reply = session.execute("select reply from perdure_questions where id = ?", (question_id,)).fetchone()
        if reply is not None and reply[0] is not None:
            wakes.replies[question_id] = reply[0]
    return wakes


def _outcome(instance_id: str, workflow: str, state: int, outcome: bytes | None) -> Outcome:
    stored = decode_outcome(outcome)
    return Outcome(
        instance_id=instance_id,
        workflow=workflow,
        state=STATES[state],
        result=stored.result,
        failure=stored.failure,
        reason=stored.reason,
    )
