"""Testing workflows and activities: `WorkflowTester`, `crash_anywhere`, `activity_test_context`.

For those who write stores: `perdure.testing.conformance`. For the curious: `python -m perdure.testing.simulation`.
"""

from perdure.testing.activity_context import TestedActivity, activity_test_context
from perdure.testing.crash.anywhere import crash_anywhere, shuffle_deliveries
from perdure.testing.crash.hunt import TroubleFound
from perdure.testing.tester.errors import NonDeterministicCall, UnexpectedCall, UnmetExpectation, WorkflowBlocked
from perdure.testing.tester.mocks import Call, Mock
from perdure.testing.tester.tester import WorkflowTester

__all__ = [
    "Call",
    "Mock",
    "NonDeterministicCall",
    "TestedActivity",
    "TroubleFound",
    "UnexpectedCall",
    "UnmetExpectation",
    "WorkflowBlocked",
    "WorkflowTester",
    "activity_test_context",
    "crash_anywhere",
    "shuffle_deliveries",
]
