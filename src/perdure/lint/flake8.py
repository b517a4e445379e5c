"""The plugin for flake8, which looks at one file at a time.

What is found in another file, in a function that a workflow of this one calls, is told at the call that leads there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from perdure.lint.findings import Finding
from perdure.lint.linter import Linter


class Plugin:
    """What flake8 makes for each file, by the names of the parameters."""

    name = "perdure"
    version = version("perdure")

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        self._path = Path(filename).absolute()
        self._source = "".join(lines)

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        linter = Linter()
        linter.look_into(self._path, self._source)
        for finding in linter.findings():
            yield self._told(finding)

    def _told(self, finding: Finding) -> tuple[int, int, str, type[Plugin]]:
        if finding.path == self._path:
            return finding.line, finding.column - 1, f"{finding.code} {finding.message}", Plugin
        step = [step for step in finding.calls if step.path == self._path][-1]
        text = f"{finding.code} {finding.path.name}:{finding.line}: {finding.message}"
        return step.line, step.column - 1, text, Plugin
