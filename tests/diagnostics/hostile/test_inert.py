"""What the other tests look for is found where it is."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.diagnostics.browser.fixtures import IN_BROWSER
from tests.diagnostics.hostile.inert import alive

pytestmark = IN_BROWSER


@pytest.mark.parametrize(
    "html",
    [
        "<script>wasRun = 1</script>",
        "<img src=x onerror=wasRun=1>",
        "<p onclick=x>",
        "<a href='javascript:x'>x</a>",
        "<a href='//elsewhere.test'>x</a>",
        "<p style='color: red'>x</p>",
        "<iframe></iframe>",
        "<pre class=code><b>x</b></pre>",
        "<p>1337",
        "<p>a\u202eb",
        "<p>a\x1bb",
    ],
)
async def test_what_is_more_than_text_is_found(browser: Browser, html: str) -> None:
    page = await browser.new_page()
    await page.set_content(html)

    assert await alive(page) != []
    await page.close()


async def test_text_is_text(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content("<main><a href='/instances/x'>x</a> &lt;script&gt; <svg><path d='M0 0'/></svg></main>")

    assert await alive(page) == []
    await page.close()
