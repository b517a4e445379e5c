"""Workflows that can be steered, for the tests of actions, API and MCP server."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.model.instance import State
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.worker.support import until_async

approval = Signal("approval", str)
NASTY = "a/b:c%2F..?d=e&f#g \"'<script>alert(1)</script>~ü\N{SNOWMAN}\t\n"
"""An id that means something to everything between a browser and a store."""


class Bank:
    """Activities; what is `broken` fails."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()
        self.broken: set[str] = set()

    @activity(retry=NO_RETRY)
    async def charge(self, order: str) -> str:
        return self._do("charge", order)

    @activity(retry=RetryPolicy(initial_interval=timedelta(hours=1), max_interval=timedelta(hours=1)))
    async def refund(self, order: str) -> str:
        """Its next attempt is an hour away."""
        return self._do("refund", order)

    def _do(self, what: str, order: str) -> str:
        self.executed[what] += 1
        if what in self.broken:
            raise ValueError(f"{what} of {order}: the bank is closed")
        return f"{what} {order}"


@workflow
async def checkout(ctx: Context, order: str) -> str:
    return await ctx.execute_activity(Bank.charge, order)


@workflow
async def giving_back(ctx: Context, order: str) -> str:
    return await ctx.execute_activity(Bank.refund, order)


@workflow
async def approved(ctx: Context) -> str:
    return f"approved by {await ctx.signal_channel(approval).receive()}"


@workflow
async def parent(ctx: Context) -> str:
    return await ctx.execute_sub_workflow(approved)


WORKFLOWS: list[Any] = [checkout, giving_back, approved, parent]


def app_of(bank: Bank) -> App:
    return App(workflows=WORKFLOWS, activities=[bank])


@workflow(name="approved")
async def differing(ctx: Context) -> str:
    """What `approved` became: it doesn't repeat its history."""
    await ctx.sleep(3600)
    return ""


def changed_app() -> App:
    return App(workflows=[differing])


async def until_state(client: Client, instance_id: str, state: State) -> None:
    async def holds() -> bool:
        return await client.state(instance_id) is state

    await until_async(holds)


async def until_waiting(client: Client, instance_id: str, attempt: int) -> None:
    """Until the instance's activity waits for this attempt."""

    async def holds() -> bool:
        return [(each.attempt, each.worker) for each in await client.activities(instance_id)] == [(attempt, None)]

    await until_async(holds)


async def until_begun(client: Client, instance_id: str) -> None:
    """Until its code has run up to where it waits."""

    async def holds() -> bool:
        return (await client.info(instance_id)).history_length > 0

    await until_async(holds)
