"""What pytest gets by installing perdure: the fixture `workflow_tester`, the marks `crash_anywhere` and `shuffle_deliveries`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from perdure.testing.crash.hunt import Hunt
    from perdure.testing.tester.tester import WorkflowTester

_run_key = pytest.StashKey[object]()
"""The run of a marked test that goes on."""


def pytest_configure(config: pytest.Config) -> None:
    """The marks, for --strict-markers and --markers."""
    for mark in (
        "crash_anywhere(*, seed, most_points, cancel, processes): runs the test again and again while workers crash",
        "shuffle_deliveries(*, seed, runs): runs the test again and again while activities are late and out of order",
    ):
        config.addinivalue_line("markers", mark)


@pytest.fixture
def workflow_tester(request: pytest.FixtureRequest) -> Iterator[Callable[..., WorkflowTester]]:
    """Makes `WorkflowTester`s: `async with workflow_tester(app) as tester:`. One that was never entered fails the test."""
    from perdure.testing.crash.run import Run
    from perdure.testing.crash.tester import TroubledTester
    from perdure.testing.tester.tester import WorkflowTester

    made: list[WorkflowTester] = []

    def make(app: Any, **options: Any) -> WorkflowTester:
        run = request.node.stash.get(_run_key, None)
        tester = TroubledTester(app, run, **options) if isinstance(run, Run) else WorkflowTester(app, **options)
        made.append(tester)
        return tester

    yield make
    if any(not tester.was_entered for tester in made):
        pytest.fail("a workflow tester was made and never entered: write `async with workflow_tester(app) as tester:`")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test again and again, by whatever else runs it: pytest itself, or a plugin for async tests."""
    if _run_key in pyfuncitem.stash:
        return None
    hunt = _hunt_of(pyfuncitem)
    if hunt is None:
        return None
    for run in hunt.runs():
        pyfuncitem.stash[_run_key] = run
        try:
            pyfuncitem.ihook.pytest_pyfunc_call(pyfuncitem=pyfuncitem)
        except (Exception, pytest.fail.Exception) as problem:
            run.problem = problem
        finally:
            del pyfuncitem.stash[_run_key]
    return True


def _hunt_of(item: pytest.Function) -> Hunt | None:
    crash, shuffle = item.get_closest_marker("crash_anywhere"), item.get_closest_marker("shuffle_deliveries")
    mark = crash or shuffle
    if mark is None:
        return None
    if crash is not None and shuffle is not None:
        pytest.fail("mark a test with crash_anywhere or shuffle_deliveries, not with both", pytrace=False)
    if "workflow_tester" not in item.fixturenames:
        pytest.fail(f"a test marked {mark.name} takes its testers from the fixture workflow_tester", pytrace=False)
    from perdure.testing.crash.hunt import Crashes, Hunt, Shuffles

    return Hunt((Crashes if crash is not None else Shuffles)(**mark.kwargs))
