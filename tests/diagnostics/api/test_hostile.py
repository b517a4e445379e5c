"""What strangers send: other sites' pages, wrong and broken questions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from perdure.diagnostics.actions.batch import Batches
from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.permissions import Permissions
from perdure.diagnostics.api.application import LARGEST_BODY, OPERATIONS, create_api
from perdure.diagnostics.look import Look
from perdure.errors import StoreUnavailable
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.actions.support import Bank, app_of, approved
from tests.diagnostics.api.support import Api

JSON = {"content-type": "application/json"}


@pytest.fixture
async def perdure(empty_store: Callable[[str], str], bank: Bank) -> AsyncIterator[Orchestrator]:
    """In a file alone: what is refused never gets to a store."""
    async with Orchestrator(empty_store("sqlite"), app_of(bank)) as orchestrator:
        yield orchestrator


@pytest.fixture
async def order(perdure: Orchestrator) -> str:
    return (await perdure.start(approved.with_options(instance_id="7"))).instance_id


async def terminate(api: Api, headers: dict[str, str], content: bytes = b'{"id":"7"}') -> httpx.Response:
    return await api.http.post("/actions/terminate", content=content, headers=headers)


class TestOtherSites:
    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "none"},
            {"sec-fetch-site": "nonsense"},
            {"sec-fetch-site": "cross-site", "origin": "http://here.test"},
            {"origin": "http://there.test"},
            {"origin": "http://here.test.there.test"},
            {"origin": "http://here.test@there.test"},
            {"origin": "http://here.test:8000"},
            {"origin": "http://here.test:99999"},
            {"origin": "null"},
            {"origin": ""},
            {"origin": "file://"},
        ],
    )
    async def test_their_posts_are_refused(
        self, api: Api, perdure: Orchestrator, order: str, headers: dict[str, str]
    ) -> None:
        response = await terminate(api, {**JSON, **headers})

        assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")
        assert await perdure.state(order) is State.RUNNING

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy"},
            {"origin": "http://here.test"},
            {"origin": "https://HERE.test", "host": "here.test"},
            {"origin": "https://here.test:8443", "host": "here.test:8443"},
            {"origin": "http://here.test:80"},
        ],
    )
    async def test_this_sites_posts_and_programs_are_not(self, api: Api, order: str, headers: dict[str, str]) -> None:
        assert (await terminate(api, {**JSON, **headers})).status_code == 200

    @pytest.mark.parametrize(
        "content_type",
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"],
    )
    async def test_what_a_form_could_send_isnt_taken(
        self, api: Api, perdure: Orchestrator, order: str, content_type: str
    ) -> None:
        response = await terminate(api, {"content-type": content_type})

        assert response.status_code == 415
        assert await perdure.state(order) is State.RUNNING


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_wrong_method_is_refused(api: Api, operation: Any) -> None:
    allowed = {each.method for each in OPERATIONS if each.path == operation.path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed:
        response = await api.http.request(method, operation.path)

        assert (response.status_code, response.json()["status"]) == (405, 405)
        assert allowed <= {each.strip() for each in response.headers["allow"].split(",")}


@pytest.mark.parametrize("path", ["/nothing", "/instances/7", "/actions/explode", "/../etc/passwd", "/openapi.json/x"])
async def test_a_path_that_isnt_there_is_not_found(api: Api, path: str) -> None:
    response = await api.get(path)

    assert (response.status_code, response.json()["title"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/instances", "cursor=nonsense"),
        ("/instances", "cursor=" + "A" * 5000),
        ("/instances", "cursor=%00"),
        ("/instances", "limit=0"),
        ("/instances", "limit=99999999999999999999999999999999"),
        ("/instances", "limit=1&limit=2"),
        ("/instances", "states=melted"),
        ("/instances", "created_from=yesterday"),
        ("/instances", "created_from=2026-01-01T00:00:00"),
        ("/instances", "tags=red"),
        ("/instances", "stuck=perhaps"),
        ("/instances", "page=2"),
        ("/instances", "workflow=a%00b"),
        ("/instances", "tags=a=%00"),
        ("/throughput", "queue=%00"),
        ("/instance", ""),
        ("/instance", "id="),
        ("/instance", "id=%00"),
        ("/instance", "id=" + "x" * 256),
        ("/instance", "id=7&execution=../../x"),
        ("/instance/history", "id=7&after=-2"),
        ("/instance/history", "id=7&after=99999999999999999999"),
        ("/instance/event", "id=7&execution=00000000000000000000000000000000&position=-1"),
        ("/instance/timeline", "id=7&kinds=nonsense"),
        ("/instance/tree", "id=7&limit=1000000"),
        ("/throughput", "seconds=0"),
        ("/throughput", "seconds=nan"),
        ("/schedule", "id=%00"),
    ],
)
async def test_a_question_that_makes_no_sense_is_told_so(api: Api, order: str, path: str, query: str) -> None:
    response = await api.http.get(f"{path}?{query}")

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert response.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"id": "7", "reason": NaN}', 400),
        (b'{"id": "\\ud800"}', 400),
        (b'{"id": "7", "reason": ' + b"[" * 100_000, 422),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"id": 7}', 422),
        (b'{"id": "7", "who": "root"}', 422),
        (b'{"id": "7", "reason": ["x"]}', 422),
        (json.dumps({"id": "7", "reason": "x" * 2001}).encode(), 422),
        (json.dumps({"id": "x" * 256}).encode(), 422),
        (json.dumps({"id": "a\0b"}).encode(), 422),
        (json.dumps({"id": "7", "reason": "x" * LARGEST_BODY}).encode(), 413),
    ],
)
async def test_a_body_that_makes_no_sense_is_told_so(
    api: Api, perdure: Orchestrator, order: str, content: bytes, status: int
) -> None:
    response = await terminate(api, JSON, content)

    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert await perdure.state(order) is State.RUNNING


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("signal", {"value": 1}),
        ("signal", {"signal": ""}),
        ("signal", {"signal": "x" * 256}),
        ("signal", {"signal": "approval", "idempotency_key": ""}),
        ("retry_activity", {"number": 1.5}),
        ("retry_activity", {"number": "1"}),
        ("rewind", {"at_event": "last"}),
    ],
)
async def test_inputs_that_make_no_sense_are_told_so(api: Api, order: str, action: str, body: dict[str, Any]) -> None:
    response = await api.post(f"/actions/{action}", id=order, **body)

    assert response.status_code == 422, response.text


async def test_numbers_beyond_all_bounds_do_nothing(api: Api, order: str) -> None:
    retried = await api.post("/actions/retry_activity", id=order, number=10**30)
    rewound = await api.post("/actions/rewind", id=order, at_event=-(10**30))

    assert (retried.status_code, 400 <= rewound.status_code < 500) == (409, True)


@pytest.mark.parametrize(("depth", "status"), [(100, 200), (900, 200), (100_000, 400)])
async def test_a_value_that_is_too_deep_is_refused(api: Api, order: str, depth: int, status: int) -> None:
    content = b'{"id": "7", "signal": "else", "value": ' + b"[" * depth + b"]" * depth + b"}"

    response = await api.http.post("/actions/signal", content=content, headers=JSON)

    assert response.status_code == status


async def test_a_store_that_is_away_is_told_of() -> None:
    async def opened() -> Any:
        raise StoreUnavailable("nobody answers at postgresql://here")

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_api(opened)), base_url="http://here.test"
    ) as http:
        response = await http.get("/instances")

    assert (response.status_code, response.json()["detail"]) == (503, "nobody answers at postgresql://here")


async def test_what_breaks_tells_nothing_of_the_insides(perdure: Orchestrator, order: str) -> None:
    def hook(request: Any, action: Any, target: Any) -> bool:
        raise LookupError("the password is 1234")

    desk = Desk(perdure, Permissions(hook))

    class Opened:
        look = Look(perdure)
        batches = Batches(desk)

    Opened.desk = desk  # type: ignore[attr-defined]

    async def opened() -> Any:
        return Opened

    transport = httpx.ASGITransport(create_api(opened), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here.test") as http:
        response = await http.post("/actions/terminate", json={"id": order})

    assert response.status_code == 500
    assert "1234" not in response.text
