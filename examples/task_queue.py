"""A task queue: activities that a web process starts by themselves and worker processes run, without any workflow of one's own.

python -m examples.task_queue
"""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from perdure import App, Client, RetryPolicy, Worker, WorkflowFailed, activity, activity_context


@activity(retry=RetryPolicy(max_attempts=5, initial_interval=timedelta(milliseconds=10)))
async def send_mail(to: str, subject: str) -> str:
    if activity_context().attempt < 3:
        raise ConnectionError("the mail server is away")
    return f"{subject!r} sent to {to} in attempt {activity_context().attempt}"


@activity(queue="pictures", timeout=timedelta(minutes=5))
def shrink(picture: str, width: int) -> str:  # blocking code is fine: it has a thread
    return f"{picture} is {width} wide"


@activity(retry=RetryPolicy(max_attempts=1))
async def bill(cents: int) -> str:
    raise ValueError(f"{cents} cents is too little")


app = App(activities=[send_mail, shrink, bill])


async def work(url: str) -> None:
    """What a worker process does; the one for pictures needs more memory, say."""
    async with Worker(url, app), Worker(url, app, queues=["pictures"], max_activities=2):
        await asyncio.Event().wait()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'tasks.db'}"
        workers = asyncio.create_task(work(url))
        async with Client(url, app) as client:
            mail = await client.start_activity(send_mail, "ada@example.org", subject="Hello")
            print(await mail.result())

            shrinking = [
                await client.start_activity(shrink.with_options(priority=width), "cup.jpg", width)
                for width in (64, 512)
            ]
            print([await task.result() for task in shrinking])

            once = send_mail.with_options(idempotency_key="invoice-7", start_delay=timedelta(seconds=0.1))
            first = await client.start_activity(once, "ada@example.org", subject="Invoice 7")
            again = await client.start_activity(once, "ada@example.org", subject="Invoice 7")
            print("the same task:", first.instance_id == again.instance_id)

            later = await client.start_activity(
                send_mail.with_options(start_delay=timedelta(days=1)), "bob@example.org", "Hi"
            )
            await later.cancel()
            print("not to Bob:", await later.wait())

            try:
                await client.run_activity(bill, 3)
            except WorkflowFailed as problem:
                print(repr(problem.__cause__))

            await first.wait()
            print("mails:", await client.count(tags={"activity": "send_mail"}))
        workers.cancel()


if __name__ == "__main__":
    asyncio.run(main())
