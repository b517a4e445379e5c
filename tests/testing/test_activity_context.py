"""Calling an activity's function in a test."""

from __future__ import annotations

import asyncio

import pytest

from perdure import activity, activity_context
from perdure.testing import activity_test_context


@activity
async def copy_rows(number: int) -> str:
    context = activity_context()
    begin = context.heartbeat_details(int) or 0
    for row in range(begin, number):
        context.heartbeat(row)
    return f"{context.instance_id} {context.attempt} {begin}"


@activity
def endless() -> None:
    while True:
        activity_context().heartbeat()


async def test_the_function_finds_a_context_and_its_heartbeats_are_kept() -> None:
    with activity_test_context(instance_id="order-1", attempt=2, heartbeat_details=3) as tested:
        assert await copy_rows(5) == "order-1 2 3"
    assert tested.heartbeats == [3, 4]
    with pytest.raises(Exception, match="in a running activity alone"):
        activity_context()


def test_a_cancelled_one_hears_of_it_by_its_heartbeats() -> None:
    with activity_test_context() as tested:
        tested.cancel()
        with pytest.raises(asyncio.CancelledError):
            endless()
        assert activity_context().cancelled
