"""The messages of perdure's own, read from its source and from the page that lists them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "perdure"
PAGE = ROOT / "docs" / "logging.md"

BY_CASE = "by case"
_METHODS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    "log": BY_CASE,
}
_LOGGER = re.compile(r"_?(base_)?log(ger)?$")
_PLACEHOLDER = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-z]")

_LOGGERS = {
    "src/perdure/worker/activities.py": "perdure.activity",
    "src/perdure/worker/attempt.py": "perdure.activity",
    "src/perdure/worker/guard.py": "perdure.workflow",
    "src/perdure/worker/": "perdure.worker",
    "src/perdure/engine/": "perdure.workflow",
    "src/perdure/backends/": "perdure.store",
    "src/perdure/otel/": "perdure.otel",
    "src/perdure/diagnostics/actions/audit.py": "perdure.diagnostics.audit",
    "src/perdure/diagnostics/": "perdure.diagnostics",
}
"""By where it is logged; the first that fits."""

_PASSING_ON = {"src/perdure/observability/logging.py"}
"""What others log."""


class Call(NamedTuple):
    """Of a logger's method."""

    place: str
    logger: str
    level: str
    message: str | None
    """Values left out; None if it isn't a text that stands there."""


class Listed(NamedTuple):
    """A line of the page."""

    logger: str
    level: str
    message: str
    meaning: str


def logged() -> list[Call]:
    """By the whole package."""
    paths = {str(path.relative_to(ROOT)): path for path in sorted(SOURCE.rglob("*.py"))}
    return [
        call for name, path in paths.items() if name not in _PASSING_ON for call in calls_in(path.read_text(), name)
    ]


def calls_in(source: str, name: str) -> Iterator[Call]:
    """All calls in a file that log something, in their order."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS):
            continue
        if _is_logger(node.func.value):
            has_level = node.func.attr == "log"
            level = _level(node.args[0]) if has_level else _METHODS[node.func.attr]
            text = node.args[1 if has_level else 0]
            message = without_values(text.value) if isinstance(text, ast.Constant) else None
            yield Call(f"{name}:{node.lineno}", _logger_of(name), level, message)


def listed() -> list[Listed]:
    """What the page says that is logged."""
    found: list[Listed] = []
    logger = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("### "):
            logger = line.removeprefix("### ")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 4 and cells[1].startswith("`") and logger:
            found.append(Listed(logger, cells[0], cells[1].strip("`"), cells[3]))
    return found


def without_values(message: object) -> str:
    """As the page writes it: an ellipsis for each value, on one line."""
    return " ".join(_PLACEHOLDER.sub("…", str(message)).split())


def _is_logger(expression: ast.expr) -> bool:
    if isinstance(expression, ast.Attribute):
        owner = expression.value
        of_several = isinstance(owner, ast.Attribute | ast.Name) and _name(owner).endswith("loggers")
        return of_several or bool(_LOGGER.match(expression.attr))
    return isinstance(expression, ast.Name) and bool(_LOGGER.match(expression.id))


def _name(expression: ast.Attribute | ast.Name) -> str:
    return expression.attr if isinstance(expression, ast.Attribute) else expression.id


def _level(expression: ast.expr) -> str:
    """`logging.WARNING`, or what is decided when it is logged."""
    is_named = isinstance(expression, ast.Attribute) and _name(expression).isupper()
    return _name(expression).lower() if is_named else BY_CASE  # type: ignore[arg-type]  # is_named says so


def _logger_of(name: str) -> str:
    return next((logger for beginning, logger in _LOGGERS.items() if name.startswith(beginning)), f"{name} is new here")
