"""What pytest gets by installing perdure: the fixture `workflow_tester`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from perdure.testing.tester.tester import WorkflowTester


@pytest.fixture
def workflow_tester() -> Iterator[Callable[..., WorkflowTester]]:
    """Makes `WorkflowTester`s: `async with workflow_tester(app) as tester:`. One that was never entered fails the test."""
    from perdure.testing.tester.tester import WorkflowTester

    made: list[WorkflowTester] = []

    def make(app: Any, **options: Any) -> WorkflowTester:
        tester = WorkflowTester(app, **options)
        made.append(tester)
        return tester

    yield make
    if any(not tester.was_entered for tester in made):
        pytest.fail("a workflow tester was made and never entered: write `async with workflow_tester(app) as tester:`")
