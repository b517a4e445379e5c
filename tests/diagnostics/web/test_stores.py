"""Every page works on every store."""

from __future__ import annotations

from perdure.diagnostics.web.site import create_app
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import app
from tests.diagnostics.web.conftest import ODD, Browser, anna, fill
from tests.diagnostics.web.html import Html, faults


async def test_every_page_works_on_every_store(store_url: str) -> None:
    async with Orchestrator(store_url, app) as perdure:
        await fill(perdure)
        async with create_app(perdure, authorize=anna) as site, Browser(site) as browser:
            lists = [f"/?show={show}" for show in ("", "running", "stuck", "suspended", "failed", "completed")]
            filters = ["/?tag=colour%3Dred+%3Ci%3E", "/?find=ait&prefix=wai", "/?parent=family", "/?from=2020-01-01"]
            runs = [f"/instances/{name}" for name in ("waiting", "failed", "retrying", "chain", "family", "left")]
            others = ["/queues", "/schedules", "/health", "/instances/family/tree", "/instances/chain/save"]
            for path in (*lists, *filters, *runs, *others):
                answer = await browser.get(path)
                assert answer.status_code == 200, path
                assert path == "/health" or path.endswith("/save") or faults(answer.text) == [], path
            odd = await browser.get("/find", params={"id": ODD}, follow_redirects=True)
            done = await browser.submit(await browser.get("/do/instance/waiting/terminate"), reason="enough")
            page = Html((await browser.get(done.headers["location"])).text)

    assert ODD in Html(odd.text).one("h1").text
    assert "enough" in page.text
