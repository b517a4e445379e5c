"""What the engine's harness has made, as a saved history."""

from __future__ import annotations

from perdure.clock import to_datetime
from perdure.serialization.saved import SavedHistory
from tests.engine.harness import EPOCH, Run


def saved_of(run: Run) -> SavedHistory:
    return SavedHistory(
        instance_id="test",
        execution_id=run.execution_id.hex(),
        workflow=run.definition.name,
        queue="default",
        priority=0,
        version=None,
        parent=None,
        created_at=to_datetime(EPOCH),
        deadline_at=None,
        events=tuple(run.history),
    )
