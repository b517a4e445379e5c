"""Pages as their elements, and what none of them may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""
    """All of it, that of what is inside included."""
    inside: list[Element] = field(default_factory=list)


class Html(HTMLParser):
    """The elements of a page in their order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.unclosed: list[str] = []
        self._open: list[Element] = []
        self.feed(source)
        self.close()
        self.unclosed += [element.name for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        for outer in self._open:
            outer.inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1].name == tag:
            self._open.pop()
        else:
            self.unclosed.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, element_name: str, /, **attributes: str) -> list[Element]:
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [
            element
            for element in self.elements
            if element.name == element_name
            and all(element.attributes.get(key) == value for key, value in wanted.items())
        ]

    def one(self, element_name: str, /, **attributes: str) -> Element:
        [found] = self.all(element_name, **attributes)
        return found

    @property
    def text(self) -> str:
        return self.one("body").text

    @property
    def links(self) -> list[str]:
        return [element.attributes["href"] for element in self.all("a")]


def faults(source: str, own: str = "/") -> list[str]:
    """Whatever would run, load from elsewhere, need a weaker policy, or isn't well formed."""
    page = Html(source)
    found = [f"unclosed <{name}>" for name in page.unclosed]
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    found += [f"id {each!r} twice" for each in {each for each in ids if ids.count(each) > 1}]
    for element in page.elements:
        found += [
            f"{name} of <{element.name}>" for name in element.attributes if name.startswith("on") or name == "style"
        ]
        for name in ("href", "src", "action", "formaction"):
            target = element.attributes.get(name)
            if target and not target.startswith((own, "#")):
                found.append(f"<{element.name}> to {target}")
            if target and target.startswith("//"):
                found.append(f"<{element.name}> to another host: {target}")
    found += [f"inline {name}" for name in ("script", "style") for each in page.all(name) if each.text.strip()]
    found += [f"<{name}>" for name in ("iframe", "object", "embed", "base") if page.all(name)]
    return found
