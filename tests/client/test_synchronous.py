"""SyncClient: a client for programs without an event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any, get_overloads

import pytest

from perdure import (
    App,
    Client,
    ConfigurationError,
    Context,
    ContextVarPropagator,
    Handle,
    InstanceAlreadyExists,
    InstanceNotFound,
    QueueLimits,
    Queues,
    Schedule,
    ScheduleHandle,
    ScheduleNotFound,
    Schedules,
    Signal,
    State,
    SyncClient,
    SyncHandle,
    SyncOrchestrator,
    SyncQueues,
    SyncScheduleHandle,
    SyncSchedules,
    SyncTransactionalClient,
    TransactionalClient,
    WorkflowFailed,
    activity,
    activity_context,
    connect,
    workflow,
)

go = Signal("go", str)
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Sad(Exception):
    pass


@workflow
async def echo(ctx: Context, word: str) -> str:
    return word


@workflow
async def waits(ctx: Context) -> str:
    ctx.publish("mood", {"patience": 3})
    return await ctx.signal_channel(go).receive()


@workflow
async def sad(ctx: Context) -> None:
    raise Sad("no reason")


@workflow
async def whose(ctx: Context) -> str:
    return tenant.get()


@activity(retry=None)
async def leave_to_others() -> str:
    tokens.append(activity_context().token)
    token_is_there.set()
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return await ended


@workflow
async def completed_from_outside(ctx: Context) -> str:
    return await ctx.execute_activity(leave_to_others)


class Counter:
    def __init__(self) -> None:
        self.total = 0

    def count(self, least: int = 0) -> int:
        return max(self.total, least)

    async def add(self, number: int) -> int:
        self.total += number
        return self.total


@workflow
async def counting(ctx: Context) -> int:
    counter = Counter()
    ctx.on_query(counter.count)
    ctx.on_update(counter.add)
    await ctx.signal_channel(go).receive()
    return counter.total


tokens: list[str] = []
token_is_there = threading.Event()
app = App(
    workflows=[echo, waits, sad, whose, completed_from_outside, counting],
    activities=[leave_to_others],
    propagators=[ContextVarPropagator(tenant)],
)


@pytest.fixture
def perdure(store_url: str) -> Iterator[SyncOrchestrator]:
    with SyncOrchestrator(store_url, app) as perdure:
        yield perdure


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop.db'}"


def test_it_starts_and_waits(perdure: SyncOrchestrator) -> None:
    assert perdure.run(echo, "hello") == "hello"
    handle = perdure.start(waits.with_options(instance_id="one", tags={"a": "b"}))
    assert (handle.instance_id, repr(handle)) == ("one", "<handle of instance 'one'>")
    with pytest.raises(TimeoutError):
        handle.result(timeout=timedelta(milliseconds=10))
    with pytest.raises(InstanceAlreadyExists):
        perdure.start(waits.with_options(instance_id="one"))
    handle.signal(go, "now")

    assert handle.result(timeout=30) == "now"
    assert perdure.handle("one", workflow=waits).result() == perdure.result("one", waits) == "now"
    assert handle.wait() is State.COMPLETED


def test_errors_come_as_they_do_from_a_client(perdure: SyncOrchestrator) -> None:
    with pytest.raises(WorkflowFailed) as raised:
        perdure.run(sad)
    assert isinstance(raised.value.__cause__, Sad)
    with pytest.raises(InstanceNotFound):
        perdure.state("nobody")
    with pytest.raises(InstanceNotFound):
        list(perdure.history("nobody"))


def test_everything_else_that_one_can_do_with_an_instance(perdure: SyncOrchestrator) -> None:
    handle = perdure.start(waits)
    perdure.queues.pause("default")
    assert perdure.queues.limits() == {"default": QueueLimits(paused=True)}
    perdure.queues.resume("default")
    handle.suspend()
    assert handle.info().suspended
    handle.resume()
    handle.cancel("enough")
    assert handle.wait(timeout=30) is State.CANCELLED
    assert handle.read("mood") == {"patience": 3}
    assert handle.read("nothing", int, None) is None
    assert [execution.number for execution in perdure.executions(handle.instance_id)] == [1]
    assert perdure.activities(handle.instance_id) == []
    assert [event.position for event in handle.history()][:2] == [0, 1]
    assert perdure.stats().instances == perdure.count() == {State.CANCELLED: 1}
    handle.remove()
    other = perdure.start(waits)
    other.terminate("enough")
    assert other.state() is State.TERMINATED
    assert perdure.prune(states=[State.TERMINATED]) == 1


def test_an_activity_is_completed_from_outside() -> None:
    with SyncOrchestrator("memory://", app, grace=0) as perdure:
        handle = perdure.start(completed_from_outside)
        token_is_there.wait()
        assert perdure.heartbeat_activity(tokens[-1], 1, 2) is False
        perdure.complete_activity(tokens[-1], "done by a person")

        assert handle.result() == "done by a person"


def test_lists_are_plain_iterators_of_any_length(perdure: SyncOrchestrator) -> None:
    with ThreadPoolExecutor(8) as pool:
        handles = list(pool.map(lambda number: perdure.start(waits.with_options(instance_id=f"{number}")), range(230)))

    assert sorted(instance.instance_id for instance in perdure.list(workflow=waits)) == sorted(
        handle.instance_id for handle in handles
    )
    assert len(perdure.page(limit=7).items) == 7
    assert perdure.count(states=["running"]) == {State.RUNNING: 230}
    first = next(perdure.list())  # and the rest isn't asked for
    assert first.workflow == waits.name


def test_context_variables_of_the_caller_are_carried(perdure: SyncOrchestrator) -> None:
    tenant.set("acme")

    assert perdure.run(whose) == "acme"


async def test_it_works_where_a_loop_is_running(url: str) -> None:
    """As in a notebook."""
    with SyncOrchestrator(url, app) as perdure:
        assert perdure.run(echo, "hello") == "hello"


def test_it_opens_itself_when_it_is_used_and_again_after_a_close(url: str) -> None:
    client = SyncClient(url, app)
    assert threads() == set()
    assert client.count() == {}
    assert client.count() == {}
    assert len(threads()) == 1
    client.close()
    client.close()
    assert threads() == set()
    assert client.count() == {}
    client.close()


def test_a_client_that_nobody_has_any_more_ends_its_thread(url: str) -> None:
    client = SyncClient(url, app)
    client.open()
    [thread] = threads()
    del client
    thread.join()


def test_several_threads_open_it_once(url: str) -> None:
    client = SyncClient(url, app)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.count(), range(8)))

    assert len(threads()) == 1
    client.close()


def test_a_backend_lends_it_a_twin(url: str) -> None:
    with SyncClient(connect(url)) as client:
        handle = client.start(echo, "hello")
    with SyncClient(url) as client:
        assert client.state(handle.instance_id) is State.RUNNING


def test_what_is_wrong_with_the_arguments_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no store has the scheme"):
        SyncClient("oracle://")
    with pytest.raises(ConfigurationError, match="App"):
        SyncClient("memory://", app, propagators=[ContextVarPropagator(tenant)])
    assert threads() == set()


def test_what_cant_be_opened_is_told_by_the_first_call_and_tried_again_by_the_next(tmp_path: Path) -> None:
    client = SyncClient(f"sqlite:///{tmp_path / 'later' / 'shop.db'}")
    with pytest.raises(Exception, match="later"):
        client.count()
    (tmp_path / "later").mkdir()
    assert client.count() == {}
    client.close()


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "perdure client"}


def test_queries_and_updates_wait_as_well(perdure: SyncOrchestrator) -> None:
    handle = perdure.start(counting)
    once = handle.with_options(timeout=60, idempotency_key="once")
    assert [once.update(Counter.add, 3), once.update(Counter.add, 3)] == [3, 3]
    assert handle.query(Counter.count, least=2) == 3
    handle.signal(go, "on")
    assert handle.result() == 3
    assert handle.query("count") == 3


def test_a_schedule_is_made_looked_at_and_deleted(store_url: str) -> None:
    with SyncOrchestrator(store_url, app) as perdure:
        schedule = perdure.schedule(Schedule("later", every=timedelta(hours=1)), echo, "word")
        assert [status.schedule.id for status in perdure.schedules.list()] == ["later"]
        assert schedule.trigger().wait() == State.COMPLETED
        schedule.pause()
        schedule.resume()
        schedule.delete()
        with pytest.raises(ScheduleNotFound):
            schedule.status()


# --- it is a client, with the same signatures ---------------------------------------------------------------------------

TWINS = {
    Client: SyncClient,
    Handle: SyncHandle,
    Queues: SyncQueues,
    ScheduleHandle: SyncScheduleHandle,
    Schedules: SyncSchedules,
    TransactionalClient: SyncTransactionalClient,
}
APART = {"backend"}
"""It belongs to an event loop."""


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} - APART


@pytest.mark.parametrize("kind", TWINS)
def test_every_method_of_a_client_has_its_twin(kind: type) -> None:
    assert public(kind) <= public(TWINS[kind]), "add the method to the synchronous twin as well"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in TWINS for name in sorted(public(kind))])
def test_a_method_and_its_twin_take_and_give_the_same(kind: type, name: str) -> None:
    assert signatures(getattr(TWINS[kind], name)) == [
        re.sub(
            r"\b(Handle|Queues|ScheduleHandle|Schedules|TransactionalClient)\b",
            r"Sync\1",
            each.replace("AsyncIterator", "Iterator"),
        )
        for each in signatures(getattr(kind, name))
    ]


def signatures(method: Any) -> list[str]:
    function = method.fget if isinstance(method, property) else method
    return [str(inspect.signature(each)) for each in (function, *get_overloads(function))] if callable(function) else []


# --- in a process of its own ------------------------------------------------------------------------------------------------


def program(text: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(text), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


PRELUDE = """
import os, sys, warnings
from perdure import *

@workflow
async def echo(ctx: Context, word: str) -> str:
    return word

@workflow
async def waits(ctx: Context) -> None:
    await ctx.sleep(3600)

app = App(workflows=[echo, waits])
client = SyncOrchestrator(sys.argv[1], app)
"""


def output(text: str, url: str) -> str:
    process = program(text, url)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out


def test_a_client_that_is_never_closed_is_closed_at_the_end_of_the_process(shared_store_url: str) -> None:
    """Of a module, say. The worker takes leave of the store, too: it isn't found dead later."""
    assert output("print(client.run(echo, 'hello'))", shared_store_url) == "hello\n"
    if (3, 12) <= sys.version_info < (3, 12, 2):
        return  # gh-113964: nothing can be closed so late
    with SyncClient(shared_store_url) as client:
        assert client.stats().workers == ()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_has_a_thread_and_a_store_of_its_own(shared_store_url: str) -> None:
    """What was opened before the fork is its parent's alone, who goes on with it."""
    text = """
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of threads at a fork
        handle = client.start(echo, "parent")
        assert handle.result() == "parent"
        child = os.fork()
        assert handle.result() == "parent"
        print(client.run(echo, "child" if child == 0 else "parent"), flush=True)
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print(client.run(echo, "parent again"))
    """
    assert sorted(output(text, shared_store_url).split("\n")) == ["", "child", "parent", "parent again"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_wait_and_nothing_else(url: str) -> None:
    text = """
        handle = client.start(waits)
        try:
            print("waiting", flush=True)
            handle.result()
        except KeyboardInterrupt:
            print("interrupted", handle.state())
    """
    waiting = program(text, url)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "waiting\n"
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)

    assert (out, err) == ("interrupted running\n", "")
