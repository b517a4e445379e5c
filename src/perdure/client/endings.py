"""How an instance ended: the result for its caller, or the exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.errors import FailureError, WorkflowCancelled, WorkflowEnded, WorkflowFailed, WorkflowTerminated
from perdure.model.instance import Outcome, State
from perdure.serialization.failures import to_exception
from perdure.serialization.payloads import Payloads
from perdure.workflows.alone import run_alone
from perdure.workflows.definition import Workflow, workflow_of

Definition = Workflow[..., Any] | Activity[..., Any]
"""Of what an instance runs: an activity that runs by itself has one, too."""


def definition_of(target: Callable[..., Any] | Definition | None) -> Definition | None:
    """What a caller names; an undecorated function is a workflow."""
    return target if target is None or isinstance(target, Activity) else workflow_of(target)


class Endings:
    """Reads outcomes with the types and exceptions of an App."""

    def __init__(self, app: App | None, payloads: Payloads) -> None:
        self._workflows: Mapping[str, Workflow[..., Any]] = {} if app is None else app.workflows
        self._exceptions: Mapping[str, type[Exception]] = {} if app is None else app.exceptions
        self._payloads = payloads

    def result(self, outcome: Outcome, expected: Definition | None) -> Any:
        """The result, decoded; raises what the instance ended with otherwise."""
        if outcome.state is not State.COMPLETED:
            raise self.error(outcome, expected)
        assert outcome.result is not None
        if isinstance(expected, Activity):
            return self._payloads.call(expected.function, skip=expected.skip).decode_result(outcome.result)
        workflow = self._workflow_that_ended(outcome.workflow, expected)
        if workflow is None:
            return self._payloads.decode(outcome.result)
        return self._payloads.call(workflow.function, skip=1).decode_result(outcome.result)

    def error(self, outcome: Outcome, expected: Definition | None = None) -> WorkflowEnded:
        """The exception for an end without a result; the workflow's own one is its cause."""
        name = f"activity {expected.name}" if isinstance(expected, Activity) else outcome.workflow
        instance_id, what = outcome.instance_id, f"{name} {outcome.instance_id!r}"
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
        if name == run_alone.name:
            return None  # its result is the activity's
        if expected is not None and expected.name == name:
            return expected
        return self._workflows.get(name, expected)
