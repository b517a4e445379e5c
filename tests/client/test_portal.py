"""A portal: an event loop in a thread of its own, called from threads without one."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest

from perdure.client.portal import Portal
from perdure.errors import ConfigurationError

shade: ContextVar[str] = ContextVar("shade", default="none")


class Nothing(Exception):
    pass


class Room:
    """What the portals here keep open."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.left: list[str] = []

    async def thread(self) -> threading.Thread:
        return threading.current_thread()

    async def wait_for_ever(self) -> None:
        self.entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.left.append("the waiter")

    async def fail(self) -> None:
        raise Nothing("nothing here")

    async def shade(self) -> str:
        found = shade.get()
        shade.set("of the room")
        return found


@asynccontextmanager
async def opened() -> AsyncIterator[Room]:
    room = Room()
    yield room
    room.left.append("the room")


@pytest.fixture
def portal() -> Iterator[Portal[Room]]:
    portal = Portal(opened, "a portal")
    yield portal
    portal.close()


def test_calls_run_on_one_thread_of_its_own(portal: Portal[Room]) -> None:
    with ThreadPoolExecutor(4) as pool:
        threads = set(pool.map(lambda _: portal.call(Room.thread), range(20)))

    [thread] = threads
    assert thread.name == "a portal"
    assert thread is not threading.current_thread()


async def test_it_works_beside_a_running_loop(portal: Portal[Room]) -> None:
    """As in a notebook; the loop stands still meanwhile."""
    assert portal.call(Room.thread).name == "a portal"


def test_a_call_sees_the_callers_context_and_leaves_it_as_it_is(portal: Portal[Room]) -> None:
    shade.set("of the caller")

    assert portal.call(Room.shade) == "of the caller"
    assert shade.get() == "of the caller"


def test_an_error_has_the_callers_and_the_coroutines_frames_and_no_machinery(portal: Portal[Room]) -> None:
    with pytest.raises(Nothing, match="nothing here") as raised:
        portal.call(Room.fail)

    names = [frame.name for frame in traceback.extract_tb(raised.tb)]
    assert names == [
        "test_an_error_has_the_callers_and_the_coroutines_frames_and_no_machinery",
        "call",
        "_outcome",
        "fail",
    ]
    assert raised.value.__context__ is None


def test_an_error_is_no_cycle_for_the_garbage_collector(portal: Portal[Room]) -> None:
    def fails() -> weakref.ref[BaseException]:
        try:
            portal.call(Room.fail)
        except Nothing as problem:
            return weakref.ref(problem)
        raise AssertionError

    gc.collect()
    gc.disable()
    try:
        found = fails()
        portal.call(Room.thread)  # the other thread has let go of it, too
        assert found() is None
    finally:
        gc.enable()


def test_closing_cancels_what_is_under_way_and_waits_until_all_is_closed(portal: Portal[Room]) -> None:
    kept = portal.call(_itself)
    problems: list[BaseException] = []

    def wait() -> None:
        try:
            portal.call(Room.wait_for_ever)
        except BaseException as problem:
            problems.append(problem)

    waiter = threading.Thread(target=wait)
    waiter.start()
    kept.entered.wait()
    portal.close()
    waiter.join()

    assert kept.left == ["the waiter", "the room"]
    [problem] = problems
    assert isinstance(problem, ConfigurationError)
    assert "closed" in str(problem)
    assert not portal.is_open


def test_closing_twice_is_no_harm_and_a_call_after_it_says_so(portal: Portal[Room]) -> None:
    portal.close()
    portal.close()
    portal.close_nowait()

    with pytest.raises(ConfigurationError, match="closed"):
        portal.call(Room.thread)


def test_calls_that_meet_the_close_never_hang() -> None:
    for _ in range(20):
        portal = Portal(opened, "a portal")
        begin = threading.Barrier(5)

        def call(portal: Portal[Room] = portal, begin: threading.Barrier = begin) -> None:
            begin.wait()
            try:
                while True:
                    portal.call(Room.thread)
            except ConfigurationError:
                pass

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        begin.wait()
        portal.close()
        for caller in callers:
            caller.join()


def test_what_cant_be_opened_raises_to_whoever_opens_it() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise OSError("no such place")
        yield

    with pytest.raises(OSError, match="no such place"):
        Portal(broken, "a portal")


def test_a_call_from_its_own_thread_is_refused_instead_of_waiting_for_ever(portal: Portal[Room]) -> None:
    async def call_again(_: Room) -> None:
        portal.call(Room.thread)

    with pytest.raises(ConfigurationError, match="own event loop"):
        portal.call(call_again)


async def _itself(room: Room) -> Room:
    return room
