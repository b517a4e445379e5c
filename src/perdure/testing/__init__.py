"""Testing workflows and activities: `WorkflowTester`, `activity_test_context`.

For those who write stores: `perdure.testing.conformance`. For the curious: `python -m perdure.testing.simulation`.
"""

from perdure.testing.activity_context import TestedActivity, activity_test_context
from perdure.testing.tester.errors import UnexpectedCall, UnmetExpectation, WorkflowBlocked
from perdure.testing.tester.mocks import Call, Mock
from perdure.testing.tester.tester import WorkflowTester

__all__ = [
    "Call",
    "Mock",
    "TestedActivity",
    "UnexpectedCall",
    "UnmetExpectation",
    "WorkflowBlocked",
    "WorkflowTester",
    "activity_test_context",
]
