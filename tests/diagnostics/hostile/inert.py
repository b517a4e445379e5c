"""Whether what a page shows is text and nothing else."""

from __future__ import annotations

from playwright.async_api import Page

_ALIVE = """() => {
    const found = [];
    if ("wasRun" in window) found.push("a script of a stranger has run");
    for (const each of document.querySelectorAll("*")) {
        for (const { name, value } of each.attributes) {
            if (/^on/i.test(name)) found.push(`${each.localName} has ${name}`);
            if (/^(href|src|action|formaction|xlink:href)$/i.test(name) && !/^([/?#]|$)/.test(value.trim()) || /^\\/\\//.test(value) && name === "href")
                found.push(`${each.localName} leads to ${value}`);
            if (name === "style") found.push(`${each.localName} has a style`);
        }
        if (/^(iframe|object|embed|base|template|portal|math|foreignobject|animate|set)$/i.test(each.localName)) found.push(each.localName);
        if (each.localName === "script" && !each.src.startsWith(location.origin)) found.push("a script of its own");
        if (each.localName === "img" && !each.src.startsWith(location.origin)) found.push("a picture from elsewhere");
        if (each.localName === "b" && each.closest(".code") ) found.push("markup in a payload");
    }
    const text = document.body.innerText;
    if (text.includes("1337")) found.push("a template was filled");
    if (/[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069\\u2028\\ufeff\\u200b]/.test(text)) found.push("what isn't seen, or turns its neighbours about");
    return [...new Set(found)];
}"""


async def alive(page: Page) -> list[str]:
    """What of it is more than text."""
    found: list[str] = await page.evaluate(_ALIVE)
    return found


async def assert_inert(page: Page) -> None:
    """Also when all of it is open, has been pointed at, and has had the focus."""
    await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    await page.evaluate(
        """for (const each of document.querySelectorAll("main *")) {
            each.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
            if (each.tabIndex >= 0) each.focus();
        }"""
    )
    assert await alive(page) == [], page.url
