"""Nothing that was stored, asked or sent becomes anything but text, on no page, and every answer says so to the browser."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from perdure.diagnostics.web.links import as_segment
from perdure.diagnostics.web.site import Site
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import pick
from tests.diagnostics.web.conftest import ODD, Browser
from tests.diagnostics.web.html import Html, faults

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PATHS = ("/", "/instances/failed", "/instances/nobody", "/nothing", "/find?id=x", "/static/perdure.js", "/static/nothing", "/queues",
         "/api/instances", "/api/nothing", "/do/instance/waiting/cancel", "/instances/failed/save", "/health")  # fmt: skip

IDS = [
    ODD,
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "line\nfeed\ttab\rreturn",
    "\u202egnirts\u202c",
    "\x1b[31mred\x07",
    "..",
    "../../etc/passwd",
    "%2e%2e%2f",
    "-" * 255,
    "\U0001f9d1\u200d\U0001f680" * 15,
    "</title></textarea></style><svg/onload=alert(1)>",
]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_guarded(browser: Browser, path: str) -> None:
    headers = (await browser.get(path)).headers

    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == (
        "public, max-age=31536000, immutable" if path == "/static/perdure.js" else "no-store"
    )


async def test_a_site_of_ones_own_may_frame_the_pages(shop: Orchestrator, site_of: Callable[..., Site]) -> None:
    async with site_of(framed_by=["https://ops.test"]) as site, Browser(site) as browser:
        headers = (await browser.get("/")).headers

    assert headers["content-security-policy"].endswith("frame-ancestors https://ops.test")
    assert "x-frame-options" not in headers


@pytest.mark.parametrize("text", IDS)
async def test_what_strangers_wrote_is_text(perdure: Orchestrator, site_of: Callable[..., Site], text: str) -> None:
    hostile = pick.with_options(instance_id=text, tags={text[:100]: text}, queue=text)
    await perdure.start(hostile, f"{text}\x00\ufffe")
    async with site_of() as site, Browser(site) as browser:
        for path in (
            "/",
            "/queues",
            *(f"/instances/{as_segment(text)}{below}" for below in ("", "/tree", "?text=x")),
            f"/do/instance/{as_segment(text)}/cancel",
        ):
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            assert faults(answer.text) == [], path
        [link] = Html((await browser.get("/")).text).all("a", class_="id")
        assert (await browser.get(link.attributes["href"])).status_code == 200
        assert (await browser.get("/find", params={"id": text})).headers["location"] == link.attributes["href"]


LIST_FIELDS = ("find", "workflow", "queue", "prefix", "tag", "from", "to", "show", "parent", "cursor", "size")
INSTANCE_FIELDS = ("at", "after", "bar", "text", "family", "scale", "execution")


@pytest.mark.parametrize(
    ("path", "names"), [("/", LIST_FIELDS), ("/instances/waiting", INSTANCE_FIELDS)], ids=["list", "instance"]
)
async def test_what_is_asked_is_text(browser: Browser, path: str, names: tuple[str, ...]) -> None:
    strange = (
        "<script>alert(1)</script>",
        "\"'><svg onload=x>",
        "%00\x00",
        "\ud7ff\U0010ffff",
        "9" * 5000,
        "-1",
        "٣",
        "\x00",
    )
    for name, text in itertools.product(names, strange):
        answer = await browser.get(path, params={name: text})
        assert answer.status_code in (200, 400, 404), (name, text)
        assert faults(answer.text) == [], (name, text)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"x-forwarded-host": "evil.test", "x-forwarded-prefix": "//evil.test", "x-forwarded-proto": "javascript"},
        {"forwarded": "host=evil.test", "x-script-name": "/evil", "x-original-url": "/evil", "x-rewrite-url": "/evil"},
        {"cookie": 'perdure_theme="><script>; perdure_flash=bm9uc2Vuc2U='},
    ],
)
async def test_no_header_leads_elsewhere(browser: Browser, headers: dict[str, str]) -> None:
    for path in ("/", "/instances/waiting", "/find?id=waiting"):
        answer = await browser.get(path, headers=headers)
        assert "evil" not in answer.text + answer.headers.get("location", "")
        assert answer.status_code == 303 or faults(answer.text) == []


async def test_a_page_that_breaks_tells_nothing_of_the_inside(
    perdure: Orchestrator, site_of: Callable[..., Site]
) -> None:
    def authorize(request: object, action: object, target: object) -> str:
        raise RuntimeError("the password is 1234")

    await perdure.start(pick.with_options(instance_id="x", queue="nobody's"), "y")
    async with site_of(authorize) as site, Browser(site) as browser:
        answer = await browser.get("/instances/x")

    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert "1234" not in answer.text
    assert "Traceback" not in answer.text
    assert faults(answer.text) == []


async def test_bodies_have_a_limit(browser: Browser) -> None:
    answer = await browser.post("/do/instance/waiting/cancel", data={"reason": "x" * 5_000_000})

    assert answer.status_code == 413
