from __future__ import annotations

import contextvars
import logging

import pytest

from perdure.engine.divergence import Site
from perdure.errors import DecodeError, EncodeError, NonDeterminismError, StoreFull
from perdure.observability.logging import (
    ActivityLogger,
    Loggers,
    ReplayFilter,
    WorkflowLogger,
    mark_workflow_code,
    text_of,
    text_of_failure,
)
from perdure.serialization.failures import to_failure
from perdure.serialization.payloads import Payloads

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


def test_a_child_has_the_fields_and_a_level_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    is_replaying = False
    logger = WorkflowLogger(BASE, {"instance_id": "order-7"}, lambda: is_replaying)
    child = logger.getChild("payments")
    logging.getLogger("tests.observability.payments").setLevel(logging.ERROR)

    child.warning("too quiet")
    logger.warning("from above")
    child.error("loud")
    is_replaying = True
    child.error("again")

    assert [(record.name, record.message) for record in caplog.records] == [
        ("tests.observability", "from above"),
        ("tests.observability.payments", "loud"),
    ]
    assert caplog.records[1].__dict__["instance_id"] == "order-7"


def test_a_trace_is_asked_for_when_something_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ids: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("ids", default=None)
    loggers = Loggers(BASE, "worker-1", ids.get)
    logger = ActivityLogger(loggers.activity, {"attempt": 1})

    logger.info("without")
    ids.set(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"))
    logger.info("with")

    [without, traced] = [record.__dict__ for record in caplog.records]
    assert "trace_id" not in without
    assert (traced["trace_id"], traced["span_id"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert (traced["name"], traced["worker"], traced["attempt"]) == ("tests.observability.activity", "worker-1", 1)


def test_what_may_quote_a_payload_is_told_without_its_text() -> None:
    assert text_of(StoreFull("no space is left")) == "StoreFull: no space is left"
    assert text_of(DecodeError("input_value='4111-1111'")) == "DecodeError"
    divergence = NonDeterminismError("history says: activity 1: charge[4111]")
    divergence.site = Site("flows.py", 12, "checkout")
    assert text_of(divergence) == "NonDeterminismError at flows.py:12, in checkout"
    assert text_of_failure(to_failure(EncodeError("4111 can't be"), Payloads())) == "EncodeError"
    assert text_of_failure(to_failure(ValueError("no card"), Payloads())) == "ValueError: no card"


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
