"""From paths to findings: begins at workflows, follows calls, looks once at each function that a workflow reaches."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from perdure.lint.checks import asyncio_use, cancels, commands, reaching_out, set_order, state
from perdure.lint.findings import Finding, Step, is_excused, last_line
from perdure.lint.inference import Inference
from perdure.lint.look import Check, Found, Look
from perdure.lint.project import UNREADABLE, Project, read, sources
from perdure.lint.reach import called_by, workflows_in
from perdure.lint.rules import RULES
from perdure.lint.values import Function, Module

_CHECKS: tuple[Check, ...] = (
    reaching_out.check, set_order.check, asyncio_use.check, cancels.check, state.check, commands.check,
)  # fmt: skip

_SIGNS = ("async def", "perdure")
"""A file with neither has no workflow, and isn't parsed until one calls into it."""

_FILES_IN_MEMORY = 300


def lint(paths: Sequence[Path], *, every_async: bool = False) -> list[Finding]:
    """What is found in workflows in these files and folders, and in the functions of their projects that they call.

    `every_async` takes every `async def` for a workflow. Findings are in the order of files and lines; each place is told once,
    however many workflows get there.
    """
    linter = Linter(every_async=every_async)
    for path in sources([path.absolute() for path in paths]):
        linter.look_into(path)
    return linter.findings()


class Linter:
    """Collects findings, file after file."""

    def __init__(self, *, every_async: bool = False) -> None:
        self._every_async = every_async
        self._files = 0
        self._project = Project()
        self._inference = Inference(self._project)
        self._seen: set[Function] = set()
        self._found: dict[tuple[Path, int, int, str], Finding] = {}

    def look_into(self, path: Path, source: str | None = None) -> None:
        """Look at the workflows of a file, and at all that they call; `source` is what it holds, if it was read already."""
        try:
            source = read(path) if source is None else source
            if not any(sign in source for sign in _SIGNS):
                return
            module = self._project.load(path, source)
        except UNREADABLE as problem:
            self._add(_unreadable(path, problem))
            return
        for workflow in workflows_in(module, self._inference, every_async=self._every_async):
            self._follow(workflow)
        self._files += 1
        if self._files % _FILES_IN_MEMORY == 0:
            self._forget()

    def findings(self) -> list[Finding]:
        return sorted(self._found.values(), key=lambda each: (each.path, each.line, each.column, each.code))

    def _follow(self, workflow: Function) -> None:
        """Breadth first, so that the way to each finding is the shortest one."""
        waiting: list[tuple[Function, tuple[Step, ...]]] = [(workflow, ())]
        for function, calls in waiting:
            if function in self._seen:
                continue
            self._seen.add(function)
            look = Look(
                function=function,
                inference=self._inference,
                is_workflow=not calls,
                oldest_python=self._project.oldest_python(function.module),
            )
            for found in self._check(look):
                self._add(_finding(found, function, workflow, calls), function.module)
            waiting += [(called, (*calls, _step(node, function))) for node, called in called_by(look)]

    def _forget(self) -> None:
        """Give memory back: what is reached again is looked at again, and told once all the same."""
        self._project = Project()
        self._inference = Inference(self._project)
        self._seen.clear()

    def _check(self, look: Look) -> Iterator[Found]:
        for check in _CHECKS:
            yield from check(look)

    def _add(self, finding: Finding, module: Module | None = None) -> None:
        if module is None or not is_excused(module.lines, finding):
            self._found.setdefault((finding.path, finding.line, finding.column, finding.code), finding)


def _finding(found: Found, function: Function, workflow: Function, calls: tuple[Step, ...]) -> Finding:
    rule = RULES[found.code]
    place = f"workflow {workflow.name}"
    if calls:
        place = f"{function.name}, which {place} calls"
    return Finding(
        path=function.module.path,
        line=getattr(found.node, "lineno", 1),
        column=getattr(found.node, "col_offset", 0) + 1,
        end_line=last_line(found.node),
        code=found.code,
        message=f"{found.what}: use {rule.instead} (in {place})",
        workflow=workflow.name,
        calls=calls,
    )


def _step(node: ast.AST, function: Function) -> Step:
    return Step(
        path=function.module.path,
        line=getattr(node, "lineno", 1),
        column=getattr(node, "col_offset", 0) + 1,
        function=function.name,
    )


def _unreadable(path: Path, problem: BaseException) -> Finding:
    line = getattr(problem, "lineno", None) or 1
    return Finding(
        path=path,
        line=line,
        column=getattr(problem, "offset", None) or 1,
        end_line=line,
        code="PRD001",
        message=f"can't be parsed: {getattr(problem, 'msg', None) or problem}",
        workflow="",
    )
