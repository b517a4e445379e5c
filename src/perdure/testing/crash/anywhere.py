"""`crash_anywhere` and `shuffle_deliveries`: a test as a function of its tester."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from perdure.app import App
from perdure.testing.crash.hunt import Crashes, Hunt, Shuffles
from perdure.testing.crash.tester import TroubledTester
from perdure.testing.tester.tester import WorkflowTester

Scenario = Callable[[WorkflowTester], Awaitable[Any]]


async def crash_anywhere(
    app: App,
    scenario: Scenario,
    *,
    seed: int = 0,
    most_points: int = 200,
    cancel: bool = True,
    processes: int = 2,
    **options: Any,
) -> None:
    """Run `scenario` with a fresh WorkflowTester again and again, and see that it comes out the same whatever happens.

    Each time the worker crashes before or after another of its commits (of more than `most_points`, these are drawn by
    `seed`); once nothing stays in memory, once all is delivered twice. What the scenario returns and how its workflows
    end must be the same, its assertions hold, histories replay, here and in new `processes` with another order of sets. No
    activity that isn't declared idempotent may run twice. With `cancel` instances are cancelled after each commit, too:
    they must end. `options` are those of WorkflowTester. Raises TroubleFound, which says how to repeat what was found.
    """
    plan = Crashes(seed=seed, most_points=most_points, cancel=cancel, processes=processes)
    await _hunted(Hunt(plan), app, scenario, options)


async def shuffle_deliveries(app: App, scenario: Scenario, *, seed: int = 0, runs: int = 50, **options: Any) -> None:
    """Run `scenario` again and again, with activities that begin, end and are recorded late and in another order.

    Its assertions must hold, and histories replay; results may differ. Raises TroubleFound.
    """
    await _hunted(Hunt(Shuffles(seed=seed, runs=runs)), app, scenario, options)


async def _hunted(hunt: Hunt, app: App, scenario: Scenario, options: dict[str, Any]) -> None:
    for run in hunt.runs():
        try:
            async with TroubledTester(app, run, **options) as tester:
                run.returned = await scenario(tester)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as problem:  # a failed pytest.raises isn't an Exception
            run.problem = problem
