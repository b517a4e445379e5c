"""The server's own process, driven by the SDK's client, on a file in which a worker works meanwhile."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client as Agent
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from perdure.app import App
from perdure.client.client import Client
from perdure.diagnostics.actions.table import ACTIONS
from perdure.diagnostics.mcp.condensing import LARGEST
from perdure.diagnostics.mcp.reads import TOOLS
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from tests.diagnostics.actions.support import (
    NASTY,
    approval,
    approved,
    changed_app,
    checkout,
    giving_back,
    parent,
    until_begun,
    until_waiting,
)
from tests.diagnostics.mcp.shop import app, bank, long_running, talkative
from tests.worker.support import until_async

ROOT = Path(__file__).parents[3]
APP = ("--app", "tests.diagnostics.mcp.shop:app")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture
async def perdure(url: str) -> AsyncIterator[Orchestrator]:
    bank.broken.clear()
    async with Orchestrator(url, app) as orchestrator:
        yield orchestrator


@asynccontextmanager
async def agent(url: str, *options: str, log: Path | None = None, mode: str = "auto") -> AsyncIterator[Agent]:
    """An agent that talks to a server of its own."""
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT)))
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "perdure", "mcp", "--store", url, *options],
        env={"PYTHONPATH": paths},
        cwd=ROOT,
    )
    with (log or Path(os.devnull)).open("w") as stderr:
        async with Agent(stdio_client(server, errlog=stderr), mode=mode) as opened:
            yield opened


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def call(agent: Agent, name: str, **arguments: Any) -> Any:
    """What a tool that works gives."""
    result = await agent.call_tool(name, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, text_of(result)
    assert len(text_of(result)) <= LARGEST
    return json.loads(text_of(result))


async def fail(agent: Agent, name: str, **arguments: Any) -> str:
    result = await agent.call_tool(name, arguments)
    assert isinstance(result, CallToolResult)
    assert result.is_error
    return text_of(result)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("get_instance", {"id": "nobody"}, "there is no instance 'nobody'"),
    ("get_instance", {}, "missing required field `id`"),
    ("get_instance", {"id": 7}, "Expected `str`"),
    ("get_instance", {"id": "a\0b"}, "NUL"),
    ("get_instance", {"id": "x" * 300}, "1 to 255"),
    ("get_instance", {"id": "7", "execution": "../x"}, "regex"),
    ("get_instance", {"id": "7", "more": 1}, "unknown field `more`"),
    ("list_instances", {"limit": 51}, "<= 50"),
    ("list_instances", {"limit": 10**30}, "<= 50"),
    ("list_instances", {"limit": "20"}, "Expected `int`"),
    ("list_instances", {"cursor": "nonsense"}, "is no cursor"),
    ("list_instances", {"states": ["melted"]}, "Invalid enum value"),
    ("list_instances", {"created_from": "2026-01-01T00:00:00"}, "timezone"),
    ("get_history", {"id": "7", "after": -2}, ">= -1"),
    ("drop_table", {}, "there is no tool"),
]


class TestTools:
    async def test_only_tools_that_read_are_there(self, perdure: Orchestrator, url: str) -> None:
        async with agent(url) as reader:
            listed = (await reader.list_tools()).tools

            assert {tool.name for tool in listed} == {tool.name for tool in TOOLS}
            assert all(tool.description and tool.input_schema["type"] == "object" for tool in listed)
            assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in listed)
            assert "no tool 'terminate'" in await fail(reader, "terminate", id="7", confirm=True)

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            (["--allow-actions"], {*ACTIONS}),
            (["--allow-actions", "--only", "resume", "--only", "signal"], {"resume", "signal"}),
        ],
    )
    async def test_actions_that_are_allowed_are_tools(
        self, perdure: Orchestrator, url: str, options: list[str], names: set[str]
    ) -> None:
        async with agent(url, *options) as actor:
            acting = [
                tool
                for tool in (await actor.list_tools()).tools
                if tool.annotations is not None and not tool.annotations.read_only_hint
            ]

        assert {tool.name for tool in acting} == names
        assert all("confirm" in tool.input_schema["properties"] for tool in acting)

    async def test_old_clients_are_served_too(self, perdure: Orchestrator, url: str) -> None:
        async with agent(url, mode="legacy") as reader:
            assert (await call(reader, "count_instances"))["total"] == 0


class TestReading:
    async def test_an_agent_finds_out_why_an_order_hangs(self, perdure: Orchestrator, url: str) -> None:
        bank.broken.add("refund")
        await perdure.start(giving_back.with_options(instance_id=NASTY), "4711")
        await until_waiting(perdure, NASTY, attempt=2)

        async with agent(url, *APP) as reader:
            found = await call(reader, "list_instances", states=["running"])
            order = await call(reader, "get_instance", id=found["instances"][0]["instance_id"])
            where = await call(reader, "where_is_it", id=NASTY)
            history = await call(reader, "get_history", id=NASTY, kinds=["ActivityScheduled"])
            bars = await call(reader, "get_timeline", id=NASTY)

        assert order["facts"]["instance_id"] == NASTY
        (activity,) = order["activities"]
        assert (activity["standing"], activity["attempt"]) == ("retrying", 2)
        assert activity["last_failure"]["message"] == "refund of 4711: the bank is closed"
        assert where["places"][0]["source"] == "return await ctx.execute_activity(Bank.refund, order)"
        assert [event["kind"] for event in history["events"]] == ["ActivityScheduled"]
        assert [bar["kind"] for bar in bars["bars"]] == ["workflow", "activity"]

    async def test_stuck_ones_come_with_advice(self, url: str) -> None:
        async with Client(url) as client:
            handle = await client.start(approved.with_options(instance_id="7"))
            async with Worker(client.backend, App(workflows=[approved])):
                await until_begun(client, "7")
            async with Worker(client.backend, changed_app()):
                await handle.signal(approval, "otto")
                await until_async(lambda: _is_stuck(client))

        async with agent(url) as reader:
            stuck = await call(reader, "list_stuck")
            running = await call(reader, "count_instances", stuck=True)

        (found,) = stuck["instances"]
        assert found["instance_id"] == "7"
        assert found["stuck"]["reason"].startswith("NonDeterminismError")
        assert found["stuck"]["what_to_do"]
        assert running["stuck"] == 1

    async def test_pages_lead_through_everything(self, perdure: Orchestrator, url: str) -> None:
        for place in range(7):
            await perdure.start(approved.with_options(instance_id=f"order-{place}"))
        found: list[str] = []
        cursor: dict[str, str] = {}
        async with agent(url) as reader:
            while True:
                page = await call(reader, "list_instances", limit=3, **cursor)
                found += [each["instance_id"] for each in page["instances"]]
                if "cursor" not in page:
                    break
                cursor = {"cursor": page["cursor"]}

        assert found == [f"order-{place}" for place in reversed(range(7))]

    async def test_a_large_history_comes_in_pages_that_fit_and_lose_nothing(
        self, perdure: Orchestrator, url: str
    ) -> None:
        handle = await perdure.start(long_running, 40)
        await handle.wait(timeout=60)
        positions: list[int] = []
        after = -1
        async with agent(url) as reader:
            while True:
                page = await call(reader, "get_history", id=handle.instance_id, after=after, limit=50)
                positions += [event["position"] for event in page["events"]]
                if "next_after" not in page:
                    break
                after = page["next_after"]
            event = await call(
                reader,
                "get_event",
                id=handle.instance_id,
                execution=page["execution_id"],
                position=1,
            )

        assert positions == list(range((await handle.info()).history_length))
        assert event["position"] == 1

    async def test_the_rest_is_told_too(self, perdure: Orchestrator, url: str) -> None:
        await perdure.start(parent.with_options(instance_id="parent"))
        await until_async(lambda: _has_child(perdure))
        async with agent(url) as reader:
            tree = await call(reader, "get_tree", id="parent")
            queues = await call(reader, "list_queues_and_workers")
            schedules = await call(reader, "list_schedules")

        assert [node["facts"]["workflow"] for node in tree["nodes"]] == ["parent", "approved"]
        assert [worker["is_alive"] for worker in queues["workers"]] == [True]
        assert "now" in schedules

    async def test_what_the_users_code_prints_doesnt_disturb(
        self, perdure: Orchestrator, url: str, tmp_path: Path
    ) -> None:
        handle = await perdure.start(talkative)
        await until_begun(perdure, handle.instance_id)
        log = tmp_path / "stderr"
        async with agent(url, *APP, log=log) as reader:
            where = await call(reader, "where_is_it", id=handle.instance_id)

        assert where["code"] == "shown"
        assert "hello from the import" in log.read_text()

    async def test_calls_that_make_no_sense_are_told_so(self, perdure: Orchestrator, url: str) -> None:
        async with agent(url) as reader:
            for name, arguments, told in WRONG:
                assert told in await fail(reader, name, **arguments), (name, arguments)


async def _is_stuck(client: Client) -> bool:
    return (await client.info("7")).stuck is not None


async def _has_child(client: Client) -> bool:
    return (await client.count(parent_instance_id="parent")) != {}


class TestActing:
    async def test_nothing_happens_without_confirmation(self, perdure: Orchestrator, url: str) -> None:
        await perdure.start(approved.with_options(instance_id=NASTY))
        async with agent(url, "--allow-actions") as actor:
            proposed = await call(actor, "terminate", id=NASTY)
            refused = await call(actor, "terminate", id=NASTY, confirm=False)
            wrong = await fail(actor, "terminate", id=NASTY, confirm="yes")

        assert proposed == refused
        assert proposed["target"] == f"instance {NASTY}"
        assert "Expected `bool`" in wrong
        assert await perdure.state(NASTY) is State.RUNNING

    async def test_what_is_confirmed_is_done_and_put_on_record(
        self, perdure: Orchestrator, url: str, tmp_path: Path
    ) -> None:
        handle = await perdure.start(approved.with_options(instance_id="7"))
        log = tmp_path / "stderr"
        async with agent(url, "--allow-actions", "--who", "anna", log=log) as actor:
            sent = await call(actor, "signal", id="7", signal="approval", value="the secret", confirm=True)
            again = await fail(actor, "cancel", id="7", confirm=True) if await handle.result(timeout=20) else ""

        assert sent["verdict"] == "done"
        assert "has ended" in again
        told = log.read_text()
        assert "signal instance '7': done" in told
        assert "cancel instance '7': conflict" in told
        assert "anna by " in told
        assert "the secret" not in told

    async def test_a_failed_one_is_rewound_with_the_code(self, perdure: Orchestrator, url: str) -> None:
        bank.broken.add("charge")
        handle = await perdure.start(checkout, "7")
        assert await handle.wait(timeout=20) is State.FAILED
        bank.broken.clear()
        async with agent(url, *APP, "--allow-actions") as actor:
            await call(actor, "rewind", id=handle.instance_id, confirm=True)

            assert await handle.result(timeout=20) == "charge 7"
