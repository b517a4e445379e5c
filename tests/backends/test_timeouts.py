from __future__ import annotations

import asyncio
import time

import pytest

from perdure.backends.timeouts import Timeouts


@pytest.fixture
async def timeouts() -> Timeouts[str]:
    return Timeouts(asyncio.get_running_loop(), "too late")


async def test_what_comes_in_time_is_given(timeouts: Timeouts[str]) -> None:
    loop = asyncio.get_running_loop()
    for seconds in (0.5, 60):
        waiter: asyncio.Future[str] = loop.create_future()
        loop.call_soon(waiter.set_result, "here")
        assert await timeouts.wait(waiter, seconds) == "here"


@pytest.mark.parametrize("seconds", [-1, 0, 0.01, 1.0])
async def test_what_does_not_come_ends_with_the_time_out_and_not_before(
    timeouts: Timeouts[str], seconds: float
) -> None:
    began = time.monotonic()
    assert await timeouts.wait(asyncio.get_running_loop().create_future(), seconds) == "too late"
    assert time.monotonic() - began >= seconds


async def test_long_ones_share_timers_and_are_forgotten_when_they_are_over(timeouts: Timeouts[str]) -> None:
    loop = asyncio.get_running_loop()
    waiters: list[asyncio.Future[str]] = [loop.create_future() for _ in range(1_000)]
    waiting = asyncio.gather(*(timeouts.wait(waiter, 60) for waiter in waiters))
    await asyncio.sleep(0)
    assert len(timeouts._due) <= 2
    for waiter in waiters:
        waiter.set_result("here")
    assert set(await waiting) == {"here"}
    assert not any(timeouts._due.values())


async def test_who_stops_waiting_is_forgotten(timeouts: Timeouts[str]) -> None:
    for seconds in (0.5, 60):
        waiting = asyncio.create_task(timeouts.wait(asyncio.get_running_loop().create_future(), seconds))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not any(timeouts._due.values())
