"""Requests that no browser sends: paths, headers and bodies that try for more than they should get."""

from __future__ import annotations

import http.client
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest

from examples.approval import approve
from perdure.client.synchronous import SyncClient
from perdure.model.instance import State
from tests.diagnostics.browser.serving import served_shop

ID = "approve-1"
DO = f"/do/instance/{ID}/terminate"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def address(url: str) -> Iterator[str]:
    with SyncClient(url) as client:
        client.start(approve.with_options(instance_id=ID), "a chair", timedelta(days=3))
    with served_shop(url) as address:
        yield address


class Answer:
    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.cookies = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
        self.text = answer.read().decode()


def ask(
    address: str, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None
) -> Answer:
    """As it stands, without a library that puts the path in order."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="host" in (headers or {}), skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body.encode())))
        connection.endheaders(None if body is None else body.encode())
        return Answer(connection.getresponse())
    finally:
        connection.close()


def token_of(address: str) -> tuple[str, str]:
    """The cookie and the field of a form that was asked for in earnest."""
    answer = ask(address, "GET", DO)
    cookie = next(each for each in answer.cookies if "token" in each).partition(";")[0]
    return cookie, answer.text.partition('name="token" value="')[2].partition('"')[0]


def here(address: str) -> dict[str, str]:
    return {**FORM, "origin": address}


def state(url: str) -> State:
    with SyncClient(url) as client:
        return client.state(ID)


def test_a_form_that_was_asked_for_is_taken(url: str, address: str) -> None:
    """What the refusals below differ from."""
    cookie, token = token_of(address)

    assert ask(address, "POST", DO, {**here(address), "cookie": cookie}, urlencode({"token": token})).status == 303
    assert state(url) is State.TERMINATED


@pytest.mark.parametrize(
    ("token", "cookie"),
    [
        (None, None),
        ("", ""),
        (None, "own"),
        ("own", None),
        ("0" * 64, "own"),
        ("own", "perdure_token=" + "0" * 64),
        ("x", "perdure_token=x"),
        ("", "perdure_token="),
    ],
)
def test_a_form_without_its_token_is_refused(url: str, address: str, token: str | None, cookie: str | None) -> None:
    own_cookie, own_token = token_of(address)
    fields = {} if token is None else {"token": own_token if token == "own" else token}
    headers = {} if cookie is None else {"cookie": own_cookie if cookie == "own" else cookie}

    assert ask(address, "POST", DO, {**here(address), **headers}, urlencode(fields)).status == 403
    assert state(url) is State.RUNNING


@pytest.mark.parametrize(
    "sender",
    [
        {},
        {"origin": "http://elsewhere.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://elsewhere.test", "host": "elsewhere.test:81"},
    ],
)
def test_a_form_with_its_token_from_elsewhere_is_refused(url: str, address: str, sender: dict[str, str]) -> None:
    cookie, token = token_of(address)
    answer = ask(address, "POST", DO, {**FORM, "cookie": cookie, **sender}, urlencode({"token": token}))

    assert answer.status == 403
    assert state(url) is State.RUNNING


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"x-http-method-override": "POST"}, {"x-http-method": "POST"}, {"x-method-override": "POST"}],
)
def test_nothing_but_a_post_does_anything(url: str, address: str, method: str, headers: dict[str, str]) -> None:
    cookie, token = token_of(address)
    path = f"{DO}?{urlencode({'token': token, '_method': 'POST', 'reason': 'x'})}"
    answer = ask(address, method, path, {**here(address), "cookie": cookie, **headers}, None)

    assert answer.status in (200, 405)
    assert state(url) is State.RUNNING


FILES = [
    "/static/../site.py",
    "/static/../templates/base.html",
    "/static/%2e%2e/site.py",
    "/static/..%2fsite.py",
    "/static/..%5csite.py",
    "/static/..\\site.py",
    "/static/%252e%252e/site.py",
    "/static/....//site.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/" + "../" * 12 + "etc/passwd",
    "/static/perdure.css%00.html",
    "/static/perdure.css/",
    "/static/..%c0%af..%c0%afsite.py",
    "/static/",
    "/static",
    "/templates/base.html",
    "//etc/passwd",
    "/..",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/instances/../../etc/passwd",
    "/instances/..",
    "/instances/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/instances/approve-1/../../static/../site.py",
    "/instances/approve-1/payload?execution=../../etc/passwd&at=0&name=arguments",
    "/instances/approve-1/payload?execution=x&at=-1&name=__class__",
    "/instances/~2E~2E~2F~2E~2E",
    "/instances/~FF~FE",
    "/instances/~00",
    "/batches/../../etc/passwd",
    "/api/../site.py",
    "/api/payload?id=approve-1",
    "file:///etc/passwd",
    "/.git/config",
    "/favicon.ico",
]


@pytest.mark.parametrize("path", FILES)
def test_no_path_leads_out(address: str, path: str) -> None:
    answer = ask(address, "GET", path)

    assert answer.status in (307, 308, 400, 403, 404, 422)
    assert not any(text in answer.text for text in ("root:", "import annotations", "{%", "[core]", "Traceback"))
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"host": "evil.test\\@x"},
        {"x-forwarded-host": "evil.test"},
        {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "javascript"},
        {"x-forwarded-prefix": "/evil.test"},
        {"x-script-name": "//evil.test"},
        {"forwarded": "host=evil.test;proto=https"},
        {"x-original-url": "/schedules?evil.test"},
        {"x-rewrite-url": "/schedules?evil.test"},
        {"referer": "http://evil.test/"},
        {"cookie": 'perdure_theme="><script>evil.test</script>'},
        {"cookie": "perdure_theme=evil.test; perdure_flash=evil.test"},
        {"accept": "application/evil.test"},
        {"range": "bytes=0-10"},
        {"accept-language": "<script>evil.test"},
        {"user-agent": "<script>evil.test</script>"},
    ],
)
@pytest.mark.parametrize("path", ["/", f"/instances/{ID}", DO])
def test_no_header_changes_what_a_page_says(address: str, path: str, headers: dict[str, str]) -> None:
    answer = ask(address, "GET", path, headers)

    assert answer.status in (200, 400)
    assert "evil.test" not in answer.text
    assert "evil.test" not in str(answer.headers)
    assert "<h1>Schedules</h1>" not in answer.text


def test_no_header_leads_a_redirect_elsewhere(address: str) -> None:
    for headers in ({"host": "evil.test"}, {"x-forwarded-host": "evil.test"}):
        answer = ask(address, "GET", f"/find?id={ID}", headers)

        assert answer.headers["location"] == f"/instances/{ID}"


@pytest.mark.parametrize(
    "wanted", ["//evil.test/", "/\\evil.test", "http://evil.test", "\r\nlocation: http://evil.test"]
)
def test_no_search_leads_elsewhere(address: str, wanted: str) -> None:
    answer = ask(address, "GET", f"/find?{urlencode({'id': wanted})}")

    assert answer.headers["location"].startswith("/?find=")


def test_a_flash_of_a_strangers_cookie_is_text(address: str) -> None:
    flash = urlsafe_b64encode(b'{"kind":"done","text":"<script>wasRun=1</script>"}').decode()
    answer = ask(address, "GET", "/", {"cookie": f"perdure_flash={flash}"})

    assert "<script>wasRun" not in answer.text
    assert "&lt;script&gt;wasRun" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/instances/{ID}",
        "/nothing",
        "/static/perdure.css",
        "/api/instances",
        "/api/nothing",
        "/find?id=x",
        "/health",
    ],
)
def test_every_answer_has_the_policy(address: str, path: str) -> None:
    answer = ask(address, "GET", path)
    policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "body",
    ["token=%ff%fe", "=".join("x" * 2_000), "a=b&" * 200, "token[]=1", "\x00", "token=a;token=b", "{}", ""],
)
def test_a_broken_form_is_refused(url: str, address: str, body: str) -> None:
    cookie, _ = token_of(address)

    assert ask(address, "POST", DO, {**here(address), "cookie": cookie}, body).status in (400, 403)
    assert state(url) is State.RUNNING
