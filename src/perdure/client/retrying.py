"""Activities that wait for their next attempt begin it at once: those that are named, or all of an instance."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.client.client import Client
from perdure.errors import InstanceError
from perdure.model.inspection import PendingActivity


async def retry_waiting(client: Client, instance_id: str, numbers: Sequence[int] = ()) -> list[PendingActivity]:
    """Those that are due now: of these numbers, or all that wait.

    To the store any number is as good as another: what waits is looked up, so that who asks is told. Raises InstanceError if
    nothing waits, or not what was named, and then nothing was done; InstanceNotFound, InstanceNotRunning.
    """
    pending = await client.activities(instance_id)
    waiting = {each.number: each for each in pending if each.worker is None and not each.is_open}
    wrong = [number for number in numbers if number not in waiting]
    if wrong or not waiting:
        what = f"activity {wrong[0]} doesn't wait" if wrong else "no activity waits"
        standing = ", ".join(f"{each.number} ({each.name})" for each in pending) or "none"
        raise InstanceError(f"{what} in {instance_id!r}; those that haven't ended: {standing}", instance_id)
    for number in numbers or waiting:
        await client.retry_activity(instance_id, number)
    return [waiting[number] for number in numbers or waiting]
