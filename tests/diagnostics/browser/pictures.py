"""Takes the pictures of the documentation anew: `python -m tests.diagnostics.browser.pictures [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright

from scripts.chromium import find
from tests.diagnostics.browser.filling import age, fill_shop
from tests.diagnostics.browser.reader import reading
from tests.diagnostics.browser.serving import served_shop

ROOT = Path(__file__).parents[3]
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "instances": ("/", {"viewport": {"width": 1200, "height": 760}}),
    "instance": ("/instances/approve-waiting?scale=even", {"viewport": {"width": 1100, "height": 895}}),
    "stuck": ("/instances/subscription-stuck", {"viewport": {"width": 1100, "height": 700}, "color_scheme": "dark"}),
    "phone": ("/instances/refund-waiting", {"viewport": {"width": 390, "height": 844}, "is_mobile": True}),
}
_HERE = """(root) => {  // where this repository lies on this machine is of no interest
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(root, "");
}"""


async def take(browser: Browser, address: str, folder: Path) -> None:
    for name, (path, options) in PICTURES.items():
        async with reading(browser, address, **options) as reader:
            await reader.open(path)
            await reader.page.evaluate(_HERE, f"{ROOT}/")
            await reader.page.screenshot(path=folder / f"{name}.png")


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "shop.db")
        await fill_shop(f"sqlite:///{path}")
        age(path, "subscription-old", timedelta(hours=5))
        with served_shop(f"sqlite:///{path}") as address:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=find())
                await take(browser, address, folder)
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
