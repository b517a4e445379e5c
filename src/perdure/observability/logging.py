"""Loggers that carry what they log for, and that are silent while history is replayed.

The fields are attributes of each LogRecord, as `extra=` makes them: `instance_id`, `execution_id`, `workflow`, `queue` and
`worker`, in activities `activity` and `attempt`, and the ids of the trace where there is one; a JSON formatter finds them there.
docs/logging.md lists them, and every message of perdure's own.

None of these messages quotes a payload. What perdure says of a value that it can't read or write may do so, and what it says
of code that doesn't repeat its history does: of these errors the log has the kind alone (`text_of`), the store has the rest.
"""

from __future__ import annotations

import contextvars
import copy
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Self

from perdure.errors import NonDeterminismError, PayloadError
from perdure.model.failure import Failure
from perdure.model.task import ActivityTask

_replaying: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar("perdure_is_replaying")


mark_workflow_code = _replaying.set
"""Say that the current contextvars context runs workflow code, and by which function it knows when it replays."""


def is_replaying_here() -> bool:
    """Whether the code that asks is workflow code that ran before."""
    is_replaying = _replaying.get(None)
    return is_replaying is not None and is_replaying()


class ReplayFilter(logging.Filter):
    """Drops what workflow code logs while it replays, through whichever logger.

    `ctx.logger` is silent in replay by itself; this is for the other loggers that workflow code and its helpers use. Put
    it on handlers (`handler.addFilter(ReplayFilter())`): a filter on a logger doesn't see what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not is_replaying_here()


TraceIds = Callable[[], tuple[str, str] | None]
"""Of the trace and the span that the code belongs to which logs; None if there are none."""


class FieldsLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that adds fields to each record; the caller's own `extra` wins and isn't changed.

    What it is made from may have fields as well, and the way to the ids of traces: it has them, too.
    """

    fields: Mapping[str, object]
    trace_ids: TraceIds | None

    def __init__(
        self, base: logging.Logger | FieldsLogger, fields: Mapping[str, object], trace_ids: TraceIds | None = None
    ) -> None:
        if isinstance(base, FieldsLogger):
            fields, trace_ids = {**base.fields, **fields}, trace_ids or base.trace_ids
            base = base.logger
        super().__init__(base, fields)
        self.fields = fields
        self.trace_ids = trace_ids

    def getChild(self, suffix: str) -> Self:  # noqa: N802 - logging's name
        """The logger of this name below, with the same fields: it has a level and handlers of its own."""
        child = copy.copy(self)
        child.logger = self.logger.getChild(suffix)
        return child

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        extra = dict(self.fields)
        ids = None if self.trace_ids is None else self.trace_ids()
        if ids is not None:
            extra["trace_id"], extra["span_id"] = ids
        extra.update(kwargs.get("extra") or {})
        kwargs["extra"] = extra
        return msg, kwargs


Log = logging.Logger | FieldsLogger


class WorkflowLogger(FieldsLogger):
    """The logger of workflow code: what ran before isn't logged again."""

    def __init__(self, base: Log, fields: Mapping[str, object], is_replaying: Callable[[], bool]) -> None:
        super().__init__(base, fields)
        self._is_replaying = is_replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        return not self._is_replaying() and super().isEnabledFor(level)


class ActivityLogger(FieldsLogger):
    """The logger of one attempt of an activity."""


class Loggers:
    """Those of one worker, children of one logger: `perdure`, unless it was given another one."""

    def __init__(self, parent: logging.Logger | None, worker: str, trace_ids: TraceIds | None = None) -> None:
        parent = parent or logging.getLogger("perdure")

        def child(name: str) -> FieldsLogger:
            return FieldsLogger(parent.getChild(name), {"worker": worker}, trace_ids)

        self.worker: FieldsLogger = child("worker")
        self.workflow: FieldsLogger = child("workflow")
        self.activity: FieldsLogger = child("activity")


def instance_fields(instance_id: str, execution_id: bytes, workflow: str, queue: str) -> dict[str, object]:
    """Those of whatever is about an instance."""
    return {"instance_id": instance_id, "execution_id": execution_id.hex(), "workflow": workflow, "queue": queue}


def attempt_fields(task: ActivityTask) -> dict[str, object]:
    """Those of whatever is about an attempt of an activity."""
    fields = instance_fields(task.instance_id, task.execution_id, task.workflow, task.queue)
    return {**fields, "activity": task.name, "attempt": task.attempt}


def text_of(problem: BaseException) -> str:
    """What a log may say of it: its kind, and its text unless that may quote a payload."""
    kind = type(problem).__name__
    if isinstance(problem, NonDeterminismError):
        return kind if problem.site is None else f"{kind} at {problem.site}"
    return kind if isinstance(problem, PayloadError) else f"{kind}: {problem}"


def text_of_failure(failure: Failure) -> str:
    """The same of a failure; the text of an exception of the user's is theirs."""
    is_quoting = failure.is_type("perdure.errors.PayloadError")
    return failure.type_name if is_quoting else f"{failure.type_name}: {failure.message}"
