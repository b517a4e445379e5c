"""The audit log: who did what to what, and what became of it. Never a payload, nor a message that may quote one."""

from __future__ import annotations

import logging

from perdure.diagnostics.actions.results import Verdict
from perdure.diagnostics.actions.table import ActionName, Target

LOGGER = logging.getLogger("perdure.diagnostics.audit")

NOBODY = "nobody"
"""Who was refused."""
BROKE_OFF = "error"
BATCH_STARTED = "batch started"
BATCH_STOPPED = "batch stopped"
_GOOD = frozenset({Verdict.DONE, BATCH_STARTED, BATCH_STOPPED})


def record(who: str | None, action: ActionName, target: Target, outcome: str) -> None:
    """One record, with the same as fields. What others chose (names, ids) is quoted, so that it can't forge a line."""
    fields = {
        "who": who or NOBODY,
        "action": str(action),
        "target_kind": str(target.kind),
        "target": target.id,
        "outcome": outcome,
    }
    level = logging.INFO if outcome in _GOOD else logging.WARNING
    LOGGER.log(level, "%a: %s %s %a: %s", fields["who"], action, target.kind, target.id, outcome, extra=fields)
