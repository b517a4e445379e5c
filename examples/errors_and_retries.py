"""Exceptions: tried again, given up at once, caught in the workflow by their own types, told to the client.

python -m examples.errors_and_retries
"""

import asyncio
from datetime import timedelta

from perdure import (
    App,
    Context,
    Orchestrator,
    PermanentError,
    RetryPolicy,
    WorkflowFailed,
    activity,
    activity_context,
    workflow,
)

PATIENT = RetryPolicy(max_attempts=5, initial_interval=timedelta(milliseconds=10))


class CardDeclined(PermanentError):
    """No retry will help, so there is none."""


@activity(retry=PATIENT, timeout=timedelta(seconds=5))
async def charge(card: str, cents: int) -> str:
    attempt = activity_context().attempt
    print(f"attempt {attempt} to charge {card}")
    if card == "old card":
        raise CardDeclined("it has expired")
    if attempt < 3:
        raise ConnectionError("the bank doesn't answer")  # retried: 10 ms later, then 20, then 40
    return f"{cents} cents from {card}"


@workflow
async def pay(ctx: Context, cards: list[str], cents: int) -> str:
    for card in cards:
        try:
            return await ctx.execute_activity(charge, card, cents)
        except CardDeclined as problem:  # the very type that the activity raised, perhaps on another machine
            ctx.logger.info("declined: %s", problem)
    raise ValueError(f"none of {len(cards)} cards works")


app = App(workflows=[pay], activities=[charge])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        print(await perdure.run(pay, ["old card", "visa"], 500))
        try:
            await perdure.run(pay, ["old card"], 500)
        except WorkflowFailed as failed:
            print(f"failed: {failed.__cause__!r}")


if __name__ == "__main__":
    asyncio.run(main())
