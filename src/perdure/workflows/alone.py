"""The workflow behind an activity that a client runs by itself: that activity, and nothing else.

So such an activity has an id, a state, a result, tags and a place in listings, on every store. Histories of it are in users'
stores: what changes here must replay them.
"""

from __future__ import annotations

from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.runtime import StoredActivity, StoredResult

WORKFLOW = "perdure:activity"


@workflow(name=WORKFLOW)
async def run_alone(ctx: Context, activity: StoredActivity) -> StoredResult:
    """Ends as the activity does, with its result as it is stored."""
    return await ctx._runtime.execute_stored_activity(ctx, activity)
