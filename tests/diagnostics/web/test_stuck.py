"""A stuck instance stands out, and its page says why and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.diagnostics.web.site import create_app
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.diagnostics.views.programs import app, go, shout, until_quiet, waiting
from tests.diagnostics.web.conftest import Browser, anna
from tests.diagnostics.web.html import Html, faults
from tests.worker.support import until_async


@workflow(name="waiting")
async def changed(ctx: Context) -> str:
    await ctx.execute_activity(shout, "<b>hello</b>")
    return await ctx.signal_channel(go).receive()


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Client]:
    """Of a store with an instance, `order`, whose code was changed under it."""
    async with Orchestrator(store_url, app) as perdure:
        await perdure.start(waiting.with_options(instance_id="order"))
        await until_quiet(perdure, "order", 1)
    async with Client(store_url) as client:
        async with Worker(client.backend, App(workflows=[changed], activities=[shout])):
            await client.signal("order", go, "!")
            await until_async(lambda: _is_stuck(client))
        yield client


async def _is_stuck(client: Client) -> bool:
    return (await client.info("order")).stuck is not None


async def test_its_page_says_why_and_what_to_do(client: Client) -> None:
    async with create_app(client, app, authorize=anna) as site, Browser(site) as browser:
        answer = await browser.get("/instances/order")
        listed = Html((await browser.get("/?show=stuck")).text)

    alert = Html(answer.text).one("section", class_="alert stuck").text
    assert "NonDeterminismError" in alert
    assert "ctx.patched" in alert
    assert "/do/instance/order/resume" in Html(answer.text).links
    assert faults(answer.text) == []
    assert [each.text for each in listed.all("a", class_="id")] == ["order"]
    assert listed.one("small", class_="why").text in alert


async def test_it_goes_on_after_a_fix_and_resume(client: Client) -> None:
    async with create_app(client, app, authorize=anna) as site, Browser(site) as browser, Worker(client.backend, app):
        await browser.submit(await browser.get("/do/instance/order/resume"))

        assert await client.wait("order", timeout=20) is State.COMPLETED
