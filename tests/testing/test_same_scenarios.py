"""What runs from end to end on every store runs through the tester, too: the same test functions, with it in the Orchestrator's place."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from perdure import App, Schedule
from perdure.testing import WorkflowTester
from tests import test_orchestrator, test_propagation
from tests.client import shop, test_queues, test_schedules
from tests.guide import test_deadlines, test_delayed_start, test_idempotency, test_tags
from tests.worker import asked, test_queries, test_updates

NOT_FOR_IT = {
    "Client(": "has another client, of a store that it shares with a worker",
    "left_alone(": "has a worker come and go",
    "cache_size=": "is about an option of its worker",
    "limits=": "is about an option of its worker",
    "until(": "waits by looking again and again, in real time, in which the tester's clock stands still",
}
"""What a scenario has in its code to which the tester doesn't apply, and why."""

LEFT_OUT = {
    "test_nobody_to_answer_is_told_with_the_queue_and_its_workers": "has no worker",
    "test_waiting_for_an_answer_has_an_end": "has no worker",
    "test_a_history_that_doesnt_fit_todays_code_is_told": "has a worker with other code",
    "test_a3_what_a_deadline_leaves_behind": "has an activity that runs for a minute, for which the tester's clock waits",
    "test_schedules_are_listed_until_they_are_deleted": "waits in real time",
}

APPS = {
    test_orchestrator: shop.app,
    test_queues: test_queues.app,
    test_schedules: test_schedules.app,
    test_queries: asked.app,
    test_updates: asked.app,
}
"""Of those whose tests are given a client."""
MODULES = (*APPS, test_propagation, test_deadlines, test_delayed_start, test_idempotency, test_tags)


def scenarios() -> Iterator[Any]:
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
            given = set(inspect.signature(function).parameters)
            if (
                not name.startswith("test_")
                or not given
                or not given <= {"store_url", "store", "client", "orchestrator"}
            ):
                continue
            if name not in LEFT_OUT and not any(words in inspect.getsource(function) for words in NOT_FOR_IT):
                yield pytest.param(module, function, id=f"{module.__name__}::{name}")


@asynccontextmanager
async def worker_of_the_tester(*_: Any, **__: Any) -> AsyncIterator[None]:
    """The tester has one already."""
    yield


@pytest.mark.parametrize(("module", "scenario"), [*scenarios()])
async def test_a_scenario(module: ModuleType, scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def tester_of(store: object, app: App, **settings: Any) -> WorkflowTester:
        return WorkflowTester(app, **settings)

    for name, stand_in in (("Orchestrator", tester_of), ("Worker", worker_of_the_tester)):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, stand_in)
    for noted in ("noted", "charged"):
        getattr(module, noted, []).clear()
    given = set(inspect.signature(scenario).parameters)
    if given == {"store_url"}:
        await scenario(store_url="memory://")
        return
    async with WorkflowTester(APPS[module], queues=["default", "gpu"]) as tester:
        values = {"client": tester, "orchestrator": tester, "store": tester.backend, "store_url": "memory://"}
        await scenario(**{name: values[name] for name in given})


async def test_schedules_run_on_the_testers_clock() -> None:
    """Those scenarios wait in real time."""
    async with WorkflowTester(test_schedules.app) as tester:
        hourly = await tester.schedule(Schedule("reports", every=timedelta(hours=1)), test_schedules.report, "north")
        await tester.advance(timedelta(hours=3, minutes=1))

        status = await hourly.status()
        assert status.started == 3
        assert await tester.result(status.recent[-1].instance_id) == f"north 1 {status.recent[-1].due_at:%H:%M}"
        await hourly.delete()
