"""Several queues: each kind of work finds the workers that can do it, and a limited queue never does too much at once.

python -m examples.queues

Here all workers share a process. `perdure worker module:app --store URL --queue gpu --only activities` is one of its own, and
`perdure queue limit gpu --at-once 2 --store URL` sets a limit from outside.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from perdure import App, Client, Context, Worker, activity, workflow

running: set[str] = set()
at_once: list[int] = []


@activity(queue="web")
async def fetch(name: str) -> str:
    return f"{name}.jpg"


@activity(queue="gpu")
async def recognise(picture: str) -> str:
    running.add(picture)
    at_once.append(len(running))
    await asyncio.sleep(0.02)
    running.remove(picture)
    return f"a cat on {picture}"


@workflow
async def describe(ctx: Context, names: list[str]) -> list[str]:
    """The workflow itself is on the queue "default"; its activities say where they go."""
    pictures = await asyncio.gather(*(ctx.execute_activity(fetch, name) for name in names))
    return await asyncio.gather(*(ctx.execute_activity(recognise, picture) for picture in pictures))


app = App(workflows=[describe], activities=[fetch, recognise])


async def until_all_wait(client: Client, queue: str, number: int) -> None:
    while True:
        waiting = {each.queue: each.activity_tasks for each in (await client.stats()).queues}
        if waiting.get(queue) == number:
            return
        await asyncio.sleep(0.01)


async def use(client: Client) -> None:
    # The site that is asked takes 20 requests a second, the card two pictures at a time: over all workers there are.
    await client.queues.set_limits("web", per_second=20)
    await client.queues.set_limits("gpu", at_once=2)
    await client.queues.pause("gpu")

    began = time.monotonic()
    handle = await client.start(describe, [f"cat-{number}" for number in range(30)])
    await until_all_wait(client, "gpu", 30)
    # A burst of 20, for nothing had been asked for before; the other ten take half a second.
    print(f"30 pictures fetched after {time.monotonic() - began:.1f} s; they wait, for the queue is paused")

    await client.queues.resume("gpu")
    print(f"recognised {len(await handle.result())}, at most {max(at_once)} at once")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder, 'queues.db')}"
        async with (
            Worker(store, app, activity_queues=()),  # workflows alone
            Worker(store, app, workflow_queues=(), activity_queues=["web"]),  # activities alone
            Worker(store, app, workflow_queues=(), activity_queues=["gpu"], max_activities=4),
            Worker(store, app, workflow_queues=(), activity_queues=["gpu"], max_activities=4),
            Client(store) as client,
        ):
            await use(client)


if __name__ == "__main__":
    asyncio.run(main())
