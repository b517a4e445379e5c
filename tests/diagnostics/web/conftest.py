"""A store with something of everything, and a browser's side of the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from perdure.diagnostics.actions.permissions import Authorize
from perdure.diagnostics.web.site import Site, create_app
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import app, breaking, counting, errand, family, pick, pressing
from tests.worker.support import until_async

HERE = "http://here.test"
ODD = "a/b ../c%2F?x#y & <b>'\"\\ ~é😀"
OF_A_BROWSER = {"origin": HERE}


def anna(request: Any, action: Any, target: Any) -> str:
    return "anna"


class Browser(httpx.AsyncClient):
    """Keeps cookies, and says where its posts come from."""

    def __init__(self, site: Any) -> None:
        transport = httpx.ASGITransport(site, raise_app_exceptions=False)
        super().__init__(transport=transport, base_url=HERE)

    async def submit(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Send the form of a page to where the page is, with its token."""
        from tests.diagnostics.web.html import Html

        hidden = {
            each.attributes["name"]: each.attributes["value"] for each in Html(page.text).all("input", type="hidden")
        }
        return await self.post(str(page.url), data=hidden | fields, headers=OF_A_BROWSER)


@pytest.fixture
async def perdure() -> AsyncIterator[Orchestrator]:
    """In memory; test_pages.py has the kinds of stores."""
    async with Orchestrator("memory://", app) as orchestrator:
        yield orchestrator


@pytest.fixture
async def shop(perdure: Orchestrator) -> Orchestrator:
    """With instances of all kinds."""
    await fill(perdure)
    return perdure


async def fill(perdure: Orchestrator) -> None:
    await perdure.run(pick.with_options(instance_id=ODD, tags={"colour": "red <i>"}), "<script>alert(1)</script>")
    await perdure.start(errand.with_options(instance_id="waiting"), "milk")
    await (await perdure.start(breaking.with_options(instance_id="failed"))).wait(timeout=20)
    await perdure.start(pressing.with_options(instance_id="retrying"), 3)
    await perdure.run(counting.with_options(instance_id="chain"), 0)
    await perdure.start(family.with_options(instance_id="family"), 2, 1)
    await perdure.start(pick.with_options(instance_id="left", queue="nobody's"), "blue")
    await perdure.schedule(Schedule("hourly", every=timedelta(hours=1)), pick, "green")
    await until_async(lambda: _is_waiting(perdure))
    await perdure.suspend("left")


async def _is_waiting(perdure: Orchestrator) -> bool:
    pending = await perdure.activities("retrying")
    if not pending:
        return False
    [retrying] = pending
    children = sum((await perdure.count(parent_instance_id="family")).values())
    return retrying.attempt == 2 and children == 2 and (await perdure.info("waiting")).history_length >= 9


@pytest.fixture
def site_of(perdure: Orchestrator) -> Callable[..., Site]:
    def make(authorize: Authorize | None = anna, **options: Any) -> Site:
        return create_app(perdure, app, authorize=authorize, **options)

    return make


@pytest.fixture
async def browser(shop: Orchestrator, site_of: Callable[..., Site]) -> AsyncIterator[Browser]:
    """On a site where anna may do everything."""
    async with site_of() as site, Browser(site) as browser:
        yield browser


@pytest.fixture
async def visitor(shop: Orchestrator, site_of: Callable[..., Site]) -> AsyncIterator[Browser]:
    """On a site where nobody may do anything."""
    async with site_of(None) as site, Browser(site) as browser:
        yield browser
