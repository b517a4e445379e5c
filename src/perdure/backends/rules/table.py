"""Which rule carries out which transition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perdure.backends.rules.attempts import complete_activity_task, record_heartbeat, retry_activity_now
from perdure.backends.rules.checkpoints import complete_workflow_task, release_instance
from perdure.backends.rules.claiming import claim_tasks
from perdure.backends.rules.creating import remove
from perdure.backends.rules.operators import resume, suspend, terminate_instance
from perdure.backends.rules.receiving import append_event
from perdure.backends.rules.starting import create_instance
from perdure.backends.rules.stuck import mark_stuck
from perdure.backends.unit.chore import Chore
from perdure.backends.unit.unit import Unit
from perdure.model.transition import (
    AppendEvent,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    CreateInstance,
    MarkStuck,
    RecordHeartbeat,
    ReleaseInstance,
    Remove,
    Resume,
    RetryActivityNow,
    Suspend,
    Terminate,
)

Rule = Callable[[Unit, Any], object]

RULES: Mapping[type, Rule] = {
    CreateInstance: create_instance,
    AppendEvent: append_event,
    CompleteWorkflowTask: complete_workflow_task,
    ReleaseInstance: release_instance,
    MarkStuck: mark_stuck,
    CompleteActivityTask: complete_activity_task,
    RecordHeartbeat: record_heartbeat,
    RetryActivityNow: retry_activity_now,
    Terminate: terminate_instance,
    Suspend: suspend,
    Resume: resume,
    Remove: remove,
    ClaimTasks: claim_tasks,
}


def wanted_rows(works: list[object]) -> tuple[list[str], list[int], list[int]]:
    """What the transitions of a batch will ask for: instance ids, instance keys, activity keys."""
    ids: list[str] = []
    instances: list[int] = []
    activities: list[int] = []
    for work in works:
        if isinstance(work, CompleteWorkflowTask):
            instances.append(work.instance_key)
            activities += [fused.activity_key for fused in work.fused]
        elif isinstance(work, CreateInstance | AppendEvent):
            ids.append(work.instance_id)
        elif isinstance(work, CompleteActivityTask | RecordHeartbeat):
            activities.append(work.activity_key)
        elif isinstance(work, ReleaseInstance | MarkStuck):
            instances.append(work.instance_key)
        elif isinstance(work, Terminate | Suspend | Resume | Remove | RetryActivityNow):
            ids.append(work.instance_id)
        elif isinstance(work, Chore):
            if isinstance(work.about, str):
                ids.append(work.about)
            elif work.about is not None:
                instances.append(work.about)
    return ids, instances, activities
