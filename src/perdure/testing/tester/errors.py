"""How a test fails because of what the tester saw. All errors are AssertionErrors, so that every test runner counts them as failures."""

from __future__ import annotations


class WorkflowBlocked(AssertionError):
    """The test waits for something that no time will bring. The message says where each workflow waits."""


class UnexpectedCall(AssertionError):
    """A mocked activity or sub-workflow was called with arguments that none of its mocks expects, or too often."""


class UnmetExpectation(AssertionError):
    """A mock that was to be called so many times wasn't."""


class NonDeterministicCall(UserWarning):
    """Workflow code reads a clock, draws a number, or uses files or the network: replay would find something else."""
