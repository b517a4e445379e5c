"""structlog on top: perdure's fields come through its ProcessorFormatter."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.observability.logging import ReplayFilter
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow


@activity
async def charge(order: str) -> str:
    activity_context().logger.info("charging", extra={"amount": 12})
    structlog.get_logger("shop").info("in an activity", step=1)
    return order


@workflow
async def checkout(ctx: Context, order: str) -> str:
    ctx.logger.info("begun")
    structlog.get_logger("shop").info("in a workflow", step=2)
    return await ctx.execute_activity(charge, order)


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = _Kept()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove_meta, structlog.processors.JSONRenderer()]
        )
    )
    handler.addFilter(ReplayFilter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


async def test_fields_of_workflows_and_activities_are_in_its_json(lines: list[dict[str, Any]]) -> None:
    async with Orchestrator("memory://", App(workflows=[checkout], activities=[charge]), name="worker-1") as perdure:
        await perdure.run(checkout.with_options(instance_id="order-7"), "7")

    said = {line["event"]: line for line in lines}
    assert (said["begun"]["instance_id"], said["begun"]["workflow"]) == ("order-7", "checkout")
    assert (said["begun"]["logger"], said["begun"]["level"]) == ("perdure.workflow", "info")
    assert {"instance_id", "execution_id", "workflow", "queue", "worker", "activity", "attempt"} <= set(
        said["charging"]
    )
    assert said["charging"]["amount"] == 12


async def test_its_own_loggers_are_silent_in_replay_by_the_filter(lines: list[dict[str, Any]]) -> None:
    app = App(workflows=[checkout], activities=[charge])
    async with Orchestrator("memory://", app, cache_size=0) as perdure:
        await perdure.run(checkout, "7")

    events = [line["event"] for line in lines]
    assert events.count("in a workflow") == events.count("begun") == 1
    assert events.count("in an activity") == 1


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))
