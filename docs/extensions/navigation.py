"""The navigation is what docs/index.md links to, under its headings: a page is listed once, for all readers.

Sphinx itself reports a page that isn't listed, and one that isn't there.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
LINK = re.compile(r"\[(?P<title>[^\]]+)\]\((?P<page>[^)#:]+)\.md\)")


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    if page == app.config.root_doc:
        _, *sections = HEADING.split(source[0])
        source[0] += "".join(map(toctree, sections[::2], sections[1::2]))


def toctree(caption: str, section: str) -> str:
    pages = [f"{link['title']} <{link['page']}>" for link in LINK.finditer(section)]
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]) if pages else ""


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", add_navigation)
    return {"parallel_read_safe": True}
