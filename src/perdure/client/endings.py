"""How an instance ended: the result for its caller, or the exception."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.app import App
from perdure.errors import FailureError, WorkflowCancelled, WorkflowEnded, WorkflowFailed, WorkflowTerminated
from perdure.model.instance import Outcome, State
from perdure.serialization.failures import to_exception
from perdure.serialization.payloads import Payloads
from perdure.workflows.definition import Workflow


class Endings:
    """Reads outcomes with the types and exceptions of an App."""

    def __init__(self, app: App | None, payloads: Payloads) -> None:
        self._workflows: Mapping[str, Workflow[..., Any]] = {} if app is None else app.workflows
        self._exceptions: Mapping[str, type[Exception]] = {} if app is None else app.exceptions
        self._payloads = payloads

    def result(self, outcome: Outcome, expected: Workflow[..., Any] | None) -> Any:
        """The result, decoded; raises what the instance ended with otherwise."""
        if outcome.state is not State.COMPLETED:
            raise self.error(outcome)
        assert outcome.result is not None
        workflow = self._workflow_that_ended(outcome.workflow, expected)
        if workflow is None:
            return self._payloads.decode(outcome.result)
        return self._payloads.call(workflow.function, skip=1).decode_result(outcome.result)

    def error(self, outcome: Outcome) -> WorkflowEnded:
        """The exception for an end without a result; the workflow's own one is its cause."""
        instance_id, what = outcome.instance_id, f"{outcome.workflow} {outcome.instance_id!r}"
        if outcome.state is State.CANCELLED:
            return WorkflowCancelled(f"{what} was cancelled", instance_id)
        if outcome.state is State.TERMINATED:
            said = f": {outcome.reason}" if outcome.reason else ""
            return WorkflowTerminated(f"{what} was terminated{said}", instance_id, outcome.reason)
        failure = outcome.failure
        if failure is None:
            return WorkflowFailed(f"{what} failed", instance_id)
        error = WorkflowFailed(f"{what} failed: {failure.type_name}: {failure.message}", instance_id)
        error.__cause__ = to_exception(failure, self._exceptions, FailureError, self._payloads)
        return error

    def _workflow_that_ended(self, name: str, expected: Workflow[..., Any] | None) -> Workflow[..., Any] | None:
        """Continue-as-new may have gone on as another workflow than the caller started."""
        if expected is not None and expected.name == name:
            return expected
        return self._workflows.get(name, expected)
