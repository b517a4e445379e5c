"""Loggers that carry what they log for, and that are silent while history is replayed.

The fields are attributes of each LogRecord, as `extra=` makes them: `instance_id`, `execution_id`, `workflow`, and in
activities `activity` and `attempt`; a JSON formatter finds them there.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

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


class FieldsLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that adds fields to each record; the caller's own `extra` wins and isn't changed."""

    def __init__(self, base: logging.Logger, fields: Mapping[str, object]) -> None:
        super().__init__(base, fields)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        given = kwargs.get("extra")
        kwargs["extra"] = {**(self.extra or {}), **(given or {})}
        return msg, kwargs


class WorkflowLogger(FieldsLogger):
    """The logger of workflow code: what ran before isn't logged again."""

    def __init__(self, base: logging.Logger, fields: Mapping[str, object], is_replaying: Callable[[], bool]) -> None:
        super().__init__(base, fields)
        self._is_replaying = is_replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        return not self._is_replaying() and super().isEnabledFor(level)


class ActivityLogger(FieldsLogger):
    """The logger of one attempt of an activity."""
