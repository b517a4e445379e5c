"""The actions themselves: what each asks of the client, and what it says when it is done."""

from __future__ import annotations

from typing import Any

from perdure.client.client import Client
from perdure.client.retrying import retry_waiting
from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.results import Result, done, invalid
from perdure.workflows.signal import Signal

# Each takes the target's id; a PerdureError that it raises is told by `result_of`.


async def signal(client: Client, instance_id: str, inputs: Inputs) -> Result:
    if not inputs.signal:
        return invalid("a signal needs a name", "Give the name that the workflow waits for.")
    sent: Signal[Any] = Signal(inputs.signal, Any)
    await client.signal(instance_id, sent, inputs.value, idempotency_key=inputs.idempotency_key)
    return done(f"Signal {inputs.signal!r} was sent to {instance_id!r}.")


async def cancel(client: Client, instance_id: str, inputs: Inputs) -> Result:
    await client.cancel(instance_id, inputs.reason)
    return done(f"{instance_id!r} was asked to cancel.")


async def terminate(client: Client, instance_id: str, inputs: Inputs) -> Result:
    await client.terminate(instance_id, inputs.reason)
    return done(f"{instance_id!r} was terminated.")


async def suspend(client: Client, instance_id: str, inputs: Inputs) -> Result:
    await client.suspend(instance_id)
    return done(f"{instance_id!r} is suspended.")


async def resume(client: Client, instance_id: str, inputs: Inputs) -> Result:
    await client.resume(instance_id)
    return done(f"{instance_id!r} goes on.")


async def retry_activity(client: Client, instance_id: str, inputs: Inputs) -> Result:
    begun = await retry_waiting(client, instance_id, () if inputs.number is None else (inputs.number,))
    due = ", ".join(f"{each.number} ({each.name})" for each in begun)
    return done(f"Due now: {'activity' if len(begun) == 1 else 'activities'} {due}.")


async def rewind(client: Client, instance_id: str, inputs: Inputs) -> Result:
    await client.rewind(instance_id, at_event=inputs.at_event)
    return done(f"{instance_id!r} was taken back, and goes on from there.")


async def remove(client: Client, instance_id: str, inputs: Inputs) -> Result:
    await client.remove(instance_id)
    return done(f"{instance_id!r} was removed.")


async def pause_queue(client: Client, queue: str, inputs: Inputs) -> Result:
    await client.queues.pause(queue)
    return done(f"No activity of queue {queue!r} begins until it is resumed.")


async def resume_queue(client: Client, queue: str, inputs: Inputs) -> Result:
    await client.queues.resume(queue)
    return done(f"Activities of queue {queue!r} begin again.")


async def pause_schedule(client: Client, schedule: str, inputs: Inputs) -> Result:
    await client.schedules.handle(schedule).pause()
    return done(f"Schedule {schedule!r} starts nothing until it is resumed.")


async def resume_schedule(client: Client, schedule: str, inputs: Inputs) -> Result:
    await client.schedules.handle(schedule).resume()
    return done(f"Schedule {schedule!r} starts runs again.")


async def trigger_schedule(client: Client, schedule: str, inputs: Inputs) -> Result:
    run = await client.schedules.handle(schedule).trigger()
    return done(f"Schedule {schedule!r} started {run.instance_id!r}.", instance_id=run.instance_id)
