"""Pages of other sites, in the browser of somebody who may do everything here."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.async_api import Browser

from examples.approval import approve
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.browser.filling import has_begun
from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.browser.reader import Reader, reading
from tests.worker.support import until_async

pytestmark = IN_BROWSER

FORM = """<!doctype html><form method="{method}" action="{action}" enctype="{enctype}">{fields}<button>Win a prize</button></form>"""
FETCH = """<!doctype html><p id="told">asking</p><script>
fetch({action!r}, {{ method: "POST", mode: "no-cors", credentials: "include", headers: {{ "Content-Type": {type!r} }}, body: {body!r} }})
  .then(() => {{ told.textContent = "sent"; }}, () => {{ told.textContent = "refused"; }});
</script>"""
FRAME = """<!doctype html><iframe src="{action}"></iframe>"""


@contextmanager
def another_site(page: str, host: str) -> Iterator[str]:
    """Serves one page: on another port of the same host it is another origin, on another host another site as well."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of its base
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=["127.0.0.1", "localhost"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def start(perdure: Orchestrator) -> None:
    await perdure.start(approve.with_options(instance_id="approve-1"), "a chair", timedelta(days=3))
    await until_async(lambda: has_begun(perdure, "approve-1"))


async def log_in(reader: Reader) -> None:
    """Have the cookie with the token, as whoever has just done something."""
    await reader.open("/do/instance/approve-1/terminate")


@pytest.mark.parametrize("enctype", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"])
async def test_a_form_of_theirs_does_nothing(
    browser: Browser, perdure: Orchestrator, address: str, host: str, enctype: str
) -> None:
    await start(perdure)
    action = f"{address}/do/instance/approve-1/terminate"
    fields = f'<input name="token" value="{64 * "0"}"><input name="reason" value="x">'
    with another_site(FORM.format(method="post", action=action, fields=fields, enctype=enctype), host) as theirs:
        async with reading(browser, address, theirs) as reader:
            reader.expect_status(403, 404, 415)
            await log_in(reader)
            await reader.page.goto(theirs)
            async with reader.page.expect_navigation(url=action) as navigation:
                await reader.page.get_by_role("button").click()
            answer = await navigation.value

    assert answer is not None
    assert answer.status in (403, 415)
    assert await perdure.state("approve-1") is State.RUNNING


async def test_a_form_of_theirs_that_gets_does_nothing(
    browser: Browser, perdure: Orchestrator, address: str, host: str
) -> None:
    await start(perdure)
    page = FORM.format(
        method="get",
        action=f"{address}/do/instance/approve-1/terminate",
        fields='<input name="reason" value="x">',
        enctype="application/x-www-form-urlencoded",
    )
    with another_site(page, host) as theirs:
        async with reading(browser, address, theirs) as reader:
            reader.expect_status(404)
            await reader.page.goto(theirs)
            await reader.page.get_by_role("button").click()
            await reader.page.get_by_text("This can't be taken back.").wait_for()

    assert await perdure.state("approve-1") is State.RUNNING


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/api/actions/terminate", "text/plain", '{"id": "approve-1"}'),
        ("/api/actions/terminate", "application/x-www-form-urlencoded", '{"id": "approve-1"}'),
        ("/do/instance/approve-1/terminate", "application/x-www-form-urlencoded", "token=&reason=x"),
        ("/batches/new/terminate", "application/x-www-form-urlencoded", "token=&workflow=approve"),
    ],
)
async def test_a_script_of_theirs_does_nothing(
    browser: Browser, perdure: Orchestrator, address: str, host: str, path: str, kind: str, body: str
) -> None:
    await start(perdure)
    with another_site(FETCH.format(action=address + path, type=kind, body=body), host) as theirs:
        async with reading(browser, address, theirs) as reader:
            reader.expect_status(403, 404, 415)
            await log_in(reader)
            async with reader.page.expect_request(address + path):
                await reader.page.goto(theirs)
            await reader.page.get_by_text(re.compile("sent|refused")).wait_for()  # its answer has come

    assert await perdure.state("approve-1") is State.RUNNING


async def test_a_script_of_theirs_reads_nothing(
    browser: Browser, perdure: Orchestrator, address: str, host: str
) -> None:
    await start(perdure)
    page = f"""<!doctype html><p id="told">asking</p><script>
        fetch("{address}/api/instances", {{ credentials: "include" }})
          .then((answer) => answer.text()).then((text) => {{ told.textContent = text; }}, () => {{ told.textContent = "refused"; }});
    </script>"""
    with another_site(page, host) as theirs:
        context = await browser.new_context()
        tab = await context.new_page()
        await tab.goto(theirs)
        await tab.get_by_text("refused").wait_for()
        assert "approve-1" not in await tab.content()
        await context.close()


async def test_their_frames_stay_empty(browser: Browser, perdure: Orchestrator, address: str, host: str) -> None:
    """Else a page could lie over ours, and have somebody press a button unseen."""
    await start(perdure)
    with another_site(FRAME.format(action=escape(f"{address}/do/instance/approve-1/terminate")), host) as theirs:
        context = await browser.new_context()
        tab = await context.new_page()
        refused: list[str] = []
        tab.on("console", lambda message: refused.append(message.text))
        await tab.goto(theirs, wait_until="load")
        frame = tab.frames[1]
        assert "Terminate" not in await frame.content()
        assert any("frame" in text.lower() for text in refused)
        await context.close()
