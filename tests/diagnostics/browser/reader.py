"""Somebody in front of a browser, who notices whatever a page complains about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, WebError

DEADLINE_MS = 30_000.0  # of a test that hangs: nothing is timed by it

_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI || "inline"} ${event.sample}`));
"""


class Complaints:
    """What went wrong on the pages of a context, besides what was to be seen."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        """Where requests may go."""
        self.expected: set[int] = set()
        """Statuses that belong to the test."""
        self._heard: list[str] = []
        self._statuses: list[tuple[int, str]] = []

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium tells failed loads here, too, without their status; `_response` has it.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._heard.append(f"{message.type} on {message.location['url']}: {message.text}")

    def _error(self, error: WebError) -> None:
        self._heard.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((*self.addresses, "about:", "data:image/")):
            self._heard.append(f"loads from elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._statuses.append((response.status, response.url))

    def all(self) -> list[str]:
        return self._heard + [f"{status}: {url}" for status, url in self._statuses if status not in self.expected]


class Reader:
    """A page of a site, and what it complains about."""

    def __init__(self, page: Page, address: str, complaints: Complaints) -> None:
        self.page = page
        self.address = address
        self.complaints = complaints

    async def open(self, path: str) -> None:
        await self.page.goto(self.address + path)

    def expect_status(self, *statuses: int) -> None:
        """These belong to the test, and are no complaint."""
        self.complaints.expected |= set(statuses)


@asynccontextmanager
async def reading(browser: Browser, address: str, *others: str, **options: Any) -> AsyncIterator[Reader]:
    """A reader of the site at the address; `others` may be loaded from, too. At the end nothing may have been complained about."""
    context = await browser.new_context(**options)
    context.set_default_timeout(DEADLINE_MS)
    complaints = Complaints((address, *others))
    complaints.listen(context)
    await context.add_init_script(_TELL_VIOLATIONS)
    try:
        yield Reader(await context.new_page(), address, complaints)
    finally:
        await context.close()
    assert complaints.all() == []
