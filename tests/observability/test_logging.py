from __future__ import annotations

import contextvars
import logging

import pytest

from perdure.observability.logging import ActivityLogger, ReplayFilter, WorkflowLogger, mark_workflow_code

BASE = logging.getLogger("tests.observability")


def test_a_workflows_logger_is_silent_in_replay(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    is_replaying = True
    logger = WorkflowLogger(BASE, {"instance_id": "order-7"}, lambda: is_replaying)

    logger.error("before")
    assert not logger.isEnabledFor(logging.CRITICAL)
    is_replaying = False
    logger.info("now")

    assert [record.message for record in caplog.records] == ["now"]


def test_fields_are_attributes_of_the_record_beside_the_callers_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    extra = {"attempt": 9, "customer": "c-1"}
    logger = ActivityLogger(BASE, {"instance_id": "order-7", "attempt": 2})

    logger.info("paid", extra=extra)
    logger.info("done")

    [paid, done] = [record.__dict__ for record in caplog.records]
    assert (paid["instance_id"], paid["attempt"], paid["customer"]) == ("order-7", 9, "c-1")
    assert (done["instance_id"], done["attempt"]) == ("order-7", 2)
    assert extra == {"attempt": 9, "customer": "c-1"}


def test_the_filter_drops_what_replaying_workflow_code_logs_through_any_logger() -> None:
    handler = _Kept()
    handler.addFilter(ReplayFilter())
    logger = logging.getLogger("somebody else's")
    logger.addHandler(handler)
    is_replaying = True
    workflow = contextvars.Context()
    workflow.run(mark_workflow_code, lambda: is_replaying)

    workflow.run(logger.warning, "again")
    logger.warning("outside")
    is_replaying = False
    workflow.run(logger.warning, "new")

    logger.removeHandler(handler)
    assert handler.kept == ["outside", "new"]


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())
