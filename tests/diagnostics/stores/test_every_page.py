"""Every page, and every answer of the API, on every store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import msgspec
import pytest
from httpx import ASGITransport, AsyncClient

from perdure.diagnostics.web.site import create_app
from tests.diagnostics.browser.filling import fill_shop
from tests.diagnostics.browser.serving import anna
from tests.diagnostics.browser.shop import app

LINKS = re.compile(r'(?:href|src|action)="(/[^"]*)"')
REACHED = {
    "/",
    "/batches",
    "/batches/new/cancel",
    "/do/instance/*/rewind",
    "/do/instance/*/signal",
    "/do/queue/*/resume_queue",
    "/do/schedule/*/trigger_schedule",
    "/find",
    "/instances/*",
    "/instances/*/payload",
    "/instances/*/save",
    "/instances/*/tree",
    "/queues",
    "/schedules",
}
SAYING = {
    "/": ["order-4711", "account-1", "customer"],
    "/?show=stuck": ["subscription-stuck", "its code doesn&#39;t repeat its history"],
    "/?show=suspended": ["approve-suspended"],
    "/?show=failed": ["trip-lisbon", "pay-old-card", "order-mallory"],
    "/?tag=customer%3DAda": ["order-4711"],
    "/?find=lisbon": ["trip-lisbon"],
    "/?parent=party": ["the-cake"],
    "/instances/order-4711": ["receipt over 47.11", "charge_card", "as a tree"],
    "/instances/order-4712": ["signal_channel(approved).receive()", "Send a signal"],
    "/instances/trip-lisbon": ["SoldOut", "no room in Lisbon"],
    "/instances/refund-waiting": ["open again on Monday", "Retry now"],
    "/instances/account-1": ["Executions, each continued as the next"],
    "/instances/breakfast/tree": ["level 1"],
    "/queues": ["warehouse", "paused", "printer", "2 at once"],
    "/schedules": ["report-nightly", "30 2 * * *", "report-often@"],
}
EACH = {"/instances/*": 100}
"""So many addresses of a kind are gone to, of the others two."""


@pytest.fixture
async def http(store_url: str) -> AsyncIterator[AsyncClient]:
    """A browser before a store in which something of everything has happened."""
    await fill_shop(store_url)
    async with create_app(store_url, app, authorize=anna) as site:
        async with AsyncClient(transport=ASGITransport(site), base_url="http://here.test", timeout=60) as http:
            yield http


async def test_all_that_can_be_reached_is_there_and_says_what_has_happened(http: AsyncClient) -> None:
    """From the first page on, over all links, as a browser goes."""
    waiting, seen, kinds = ["/"], set[str](), dict[str, int]()
    while waiting:
        path = waiting.pop(0)
        answer = await http.get(path)
        assert answer.status_code in (200, 303), f"{path}: {answer.status_code} {answer.text[:500]}"
        if not answer.headers.get("content-type", "").startswith("text/html") or "attachment" in str(answer.headers):
            continue
        for link in map(unescape, LINKS.findall(answer.text)):
            address = link.partition("#")[0]
            kind = kind_of(address)
            if address not in seen and kinds.get(kind, 0) < EACH.get(kind, 2):
                seen.add(address)
                kinds[kind] = kinds.get(kind, 0) + 1
                waiting.append(address)

    assert kinds.keys() >= REACHED
    for path, texts in SAYING.items():
        answer = await http.get(path)
        assert [text for text in texts if text not in answer.text] == [], path


def kind_of(address: str) -> str:
    """The address without what is of one instance."""
    return re.sub(r"^(/instances/|/do/[a-z]+/)[^/]+", r"\1*", address.partition("?")[0])


async def test_the_api_answers_and_walks_the_list_without_gap_or_repetition(http: AsyncClient) -> None:
    await answer_all(http)
    whole = [each["instance_id"] for each in await listed(http)]
    walked: list[str] = []
    cursor: str | None = None
    while True:
        answer = await read(http, "/api/instances", limit=7, **({"cursor": cursor} if cursor else {}))
        walked += [each["instance_id"] for each in answer["instances"]]
        cursor = answer["cursor"]
        if cursor is None:
            break

    assert walked == whole
    assert (await read(http, "/api/counts"))["total"] == len(whole)


async def answer_all(http: AsyncClient) -> None:
    """Every operation that reads, as its description says."""
    description = await read(http, "/api/openapi.json")
    given: dict[str, Any] = {"id": "order-4711", "position": 0, "name": "arguments"}
    given["execution"] = (await read(http, "/api/instance", id="order-4711"))["execution_id"]
    for path, operations in description["paths"].items():
        if "get" in operations and path.rpartition("/")[2] != "batch":
            names = {each["name"] for each in operations["get"].get("parameters", ()) if each.get("required")}
            query = {name: "report-often" if path.endswith("/schedule") else given[name] for name in names}
            answer = await http.get(f"/api{path.removeprefix('/api')}", params=query)
            assert answer.status_code == 200, f"{path}: {answer.text}"


async def listed(http: AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await read(http, "/api/instances", limit=500))["instances"]
    return found


async def read(http: AsyncClient, path: str, **query: Any) -> Any:
    answer: httpx.Response = await http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content)
