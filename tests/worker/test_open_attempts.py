"""Activities that leave their end to somebody outside: nobody's slot, worker or lease, and yet neither lost nor done again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.client.synchronous import SyncClient
from perdure.errors import LeaseLost, PermanentError, StoreUnavailable, WorkflowCancelled, WorkflowFailed
from perdure.model.inspection import PendingActivity
from perdure.model.instance import State
from perdure.model.options import Cancellation
from perdure.model.retry import RetryPolicy
from perdure.model.transition import ActivityOpened, CompleteActivityTask
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.worker.support import Watched, as_backend, until, until_async

QUICK = RetryPolicy(max_attempts=3, initial_interval=timedelta(0), jitter=0)


class Desk:
    """Where people find what they are asked: (what, token)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.details: list[Any] = []

    def put(self, what: str) -> NoReturn:
        context = activity_context()
        self.details.append(context.heartbeat_details())
        try:
            self.asked.append((what, context.token))
            context.complete_later()
        except Exception as problem:  # as somebody may have it around everything
            raise AssertionError("it is no fault") from problem

    async def token(self, count: int = 1) -> str:
        """The last of so many."""
        await until(lambda: len(self.asked) >= count)
        return self.asked[count - 1][1]

    @activity(retry=QUICK)
    async def ask(self, what: str) -> int:
        self.put(what)

    @activity(retry=QUICK)
    def ask_in_thread(self, what: str) -> int:
        self.put(what)


@workflow
async def asking(ctx: Context, whats: list[str]) -> list[int]:
    return list(await asyncio.gather(*(ctx.execute_activity(Desk.ask, what) for what in whats)))


@workflow
async def asking_in_threads(ctx: Context, whats: list[str]) -> list[int]:
    return list(await asyncio.gather(*(ctx.execute_activity(Desk.ask_in_thread, what) for what in whats)))


def asking_with(**options: Any) -> Callable[..., Any]:
    @workflow(name="asking_with")
    async def asking_with(ctx: Context) -> int:
        return await ctx.execute_activity(Desk.ask.with_options(**options), "may I?")

    return asking_with


def app_of(desk: Desk, *workflows: Any) -> App:
    return App(workflows=[asking, asking_in_threads, *workflows], activities=[desk])


async def open_ones(client: Client, instance_id: str) -> Sequence[PendingActivity]:
    return [each for each in await client.activities(instance_id) if each.is_open]


@pytest.mark.parametrize("kind", [asking, asking_in_threads])
async def test_a1_an_open_attempt_takes_no_slot(store: Backend, kind: Any) -> None:
    desk = Desk()
    app = app_of(desk)
    whats = ["a", "b", "c", "d"]
    async with Client(store, app) as client, Worker(store, app, max_activities=1):
        handle = await client.start(kind, whats)
        await desk.token(4)
        for what, token in desk.asked:
            await client.complete_activity(token, ord(what))
        assert await handle.result() == [97, 98, 99, 100]


async def test_a1_neither_worker_nor_app_is_needed_meanwhile(store: Backend) -> None:
    desk = Desk()
    app = app_of(desk)
    async with Client(store) as client:
        async with Worker(store, app):
            started = await client.start(asking.with_options(instance_id="a"), ["a"])
            await until_async(lambda: open_ones(client, "a"))
        await client.complete_activity(desk.asked[0][1], 42)
        async with Worker(store, app):
            assert await started.result() == [42]
    assert len(desk.asked) == 1


async def test_a2_the_first_end_counts_and_later_ones_are_refused(store: Backend) -> None:
    desk = Desk()
    app = app_of(desk)
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(asking, ["a"])
        token = await desk.token()
        ends = await asyncio.gather(
            *(client.complete_activity(token, number) for number in range(5)), return_exceptions=True
        )
        assert sorted(type(end).__name__ for end in ends) == ["LeaseLost"] * 4 + ["NoneType"]
        assert await handle.result() == [ends.index(None)]
        with pytest.raises(LeaseLost, match="is over: it was completed"):
            await client.heartbeat_activity(token)


async def test_a_plain_function_that_has_no_event_loop_completes_it(store_url: str) -> None:
    if store_url.startswith("memory"):
        pytest.skip("it is of one process's own")
    desk = Desk()
    app = app_of(desk)
    async with Client(store_url, app) as client, Worker(store_url, app):
        handle = await client.start(asking, ["a"])
        token = await desk.token()

        def answer() -> bool:
            with SyncClient(store_url, app) as people:
                is_cancelled = people.heartbeat_activity(token, "reading")
                people.complete_activity(token, 3)
                return is_cancelled

        assert await asyncio.to_thread(answer) is False
        assert await handle.result() == [3]


async def test_a2_a_failure_from_outside_goes_by_the_retry_policy(store: Backend) -> None:
    desk = Desk()
    app = app_of(desk)
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(asking, ["a"])
        await client.fail_activity(await desk.token(1), ConnectionError("ask again"))
        second = await desk.token(2)
        with pytest.raises(LeaseLost):
            await client.complete_activity(desk.asked[0][1], 1)
        await client.fail_activity(second, PermanentError("never"))
        with pytest.raises(WorkflowFailed, match="never"):
            await handle.result()
    assert len(desk.asked) == 2


async def test_a3_without_heartbeats_it_is_tried_again(store: Backend) -> None:
    desk = Desk()
    asked = asking_with(heartbeat_timeout=timedelta(seconds=0.3))
    app = app_of(desk, asked)
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(asked)
        await client.heartbeat_activity(await desk.token(1), "half")
        await desk.token(2)
        assert desk.details == [None, "half"]
        await client.complete_activity(await desk.token(len(desk.asked)), 7)
        assert await handle.result() == 7


async def test_a3_the_total_timeout_ends_it(store: Backend) -> None:
    desk = Desk()
    asked = asking_with(total_timeout=timedelta(seconds=0.3))
    app = app_of(desk, asked)
    async with Client(store, app) as client, Worker(store, app):
        with pytest.raises(WorkflowFailed, match=r"ActivityTimeout: activity Desk.ask ran into its total_timeout"):
            await client.run(asked)


async def test_w7_a_requested_cancel_is_heard_by_heartbeats(store: Backend) -> None:
    desk = Desk()
    asked = asking_with(cancellation=Cancellation.REQUEST)
    app = app_of(desk, asked)
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(asked)
        token = await desk.token()
        await until_async(lambda: open_ones(client, handle.instance_id))
        assert await client.heartbeat_activity(token) is False
        await handle.cancel()
        await until_async(lambda: client.heartbeat_activity(token))
        await client.fail_activity(token, asyncio.CancelledError())
        with pytest.raises(WorkflowCancelled):
            await handle.result()


async def test_w7_an_abandoned_one_is_refused_from_then_on(store: Backend) -> None:
    desk = Desk()
    asked = asking_with(cancellation=Cancellation.ABANDON)
    app = app_of(desk, asked)
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(asked)
        token = await desk.token()
        await until_async(lambda: open_ones(client, handle.instance_id))
        await handle.cancel()
        assert await handle.wait() is State.CANCELLED
        with pytest.raises(LeaseLost):
            await client.complete_activity(token, 1)


async def test_a1_an_end_may_come_before_the_function_has_left(store: Backend) -> None:
    left = asyncio.Event()

    @activity(name="eager")
    async def eager() -> int:
        async with Client(store) as webhook:
            await webhook.complete_activity(activity_context().token, 5)
        left.set()
        activity_context().complete_later()

    @workflow(name="be_eager")
    async def be_eager(ctx: Context) -> int:
        return await ctx.execute_activity(eager)

    app = App(workflows=[be_eager], activities=[eager])
    async with Client(store, app) as client, Worker(store, app):
        assert await client.run(be_eager) == 5
    assert left.is_set()


async def test_b4_that_it_is_open_is_said_again_when_the_answer_was_lost(watched: Watched) -> None:
    desk = Desk()
    app = app_of(desk)
    lost: list[object] = []

    def lose_first(transition: Any) -> StoreUnavailable | None:
        if isinstance(transition, CompleteActivityTask) and isinstance(transition.end, ActivityOpened) and not lost:
            lost.append(transition)
            return StoreUnavailable("the answer is lost")
        return None

    watched.lose_answer = lose_first
    store = as_backend(watched)
    async with Client(store, app) as client, Worker(store, app):
        handle = await client.start(asking, ["a"])
        token = await desk.token()
        await until(lambda: len(watched.of_kind(CompleteActivityTask)) == 2)
        await client.complete_activity(token, 1)
        assert await handle.result() == [1]


PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from perdure import *

url, log, dies_early = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "early"

@activity(name="Desk.ask")
async def ask(what: str) -> int:
    with log.open("a") as tokens:
        tokens.write(activity_context().token + "\\n")
    if dies_early:
        os.kill(os.getpid(), signal.SIGKILL)
    activity_context().complete_later()

@workflow
async def asking(ctx: Context, whats: list[str]) -> list[int]:
    return [await ctx.execute_activity(ask, what) for what in whats]

async def main() -> None:
    async with Client(url) as client:
        await client.start(asking.with_options(instance_id="a"), ["a"])
    await Worker(url, App(workflows=[asking], activities=[ask]), lease=1).run_forever()

asyncio.run(main())
"""


def killed_program(url: str, log: Path, when: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, url, str(log), when])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_a2_kill_9_neither_loses_nor_repeats_an_open_attempt(shared_store_url: str, tmp_path: Path) -> None:
    desk, url = Desk(), shared_store_url
    async with Client(url, app_of(desk)) as client:
        program = killed_program(url, tmp_path / "log", "late")
        try:
            await until((tmp_path / "log").exists)
            await until_async(lambda: open_ones(client, "a"))
        finally:
            program.kill()
            program.wait()
        async with Worker(url, app_of(desk)):
            await until_async(lambda: has_no_living_worker_but_one(client))
            await client.complete_activity((tmp_path / "log").read_text().strip(), 42)
            assert await client.result("a", asking) == [42]
    assert desk.asked == []


async def has_no_living_worker_but_one(client: Client) -> bool:
    """Whether the death of the other one was found."""
    return sum(each.is_alive for each in (await client.stats()).workers) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_a2_killed_before_it_was_open_it_is_asked_again(shared_store_url: str, tmp_path: Path) -> None:
    """At least once: the token that the dead attempt gave away is refused."""
    desk, url = Desk(), shared_store_url
    program = killed_program(url, tmp_path / "log", "early")
    assert program.wait(timeout=60) == -9
    async with Client(url, app_of(desk)) as client, Worker(url, app_of(desk)):
        token = await desk.token()
        with pytest.raises(LeaseLost):
            await client.complete_activity((tmp_path / "log").read_text().strip(), 1)
        await client.complete_activity(token, 42)
        assert await client.result("a", asking) == [42]
