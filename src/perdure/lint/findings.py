"""What the linter found, and what `# noqa` excuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

_NOQA = re.compile(r"#\s*noqa(?::\s*(?P<codes>[A-Z]+[0-9]*(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A call on the way from a workflow to a finding."""

    path: Path
    line: int
    column: int
    function: str
    """Who calls."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A place that breaks a rule."""

    path: Path
    line: int
    column: int
    """From 1 on."""
    end_line: int
    code: str
    message: str
    workflow: str
    calls: tuple[Step, ...] = ()
    """How the workflow gets there, from the workflow on; nothing if it stands in the workflow itself."""


def last_line(node: ast.AST) -> int:
    """The last line of what was found: of an expression all of it, of a block its head."""
    line = getattr(node, "lineno", 1)
    body = getattr(node, "body", None)
    if isinstance(body, list):
        return line
    return getattr(node, "end_lineno", None) or line


def is_excused(lines: Sequence[str], finding: Finding) -> bool:
    """Whether a line of the finding has a `# noqa`, bare or for its code."""
    return any(_excuses(line, finding.code) for line in lines[finding.line - 1 : finding.end_line])


def _excuses(line: str, code: str) -> bool:
    found = _NOQA.search(line)
    if found is None:
        return False
    codes = found["codes"]
    return codes is None or any(code.startswith(each.upper()) for each in re.split(r"[,\s]+", codes))
