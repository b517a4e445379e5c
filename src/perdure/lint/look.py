"""One function as the checks see it: its nodes, and what they are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from perdure.lint.inference import Inference
from perdure.lint.values import Function, Value

N = TypeVar("N", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that breaks a rule: where, which, and what it is called there."""

    node: ast.AST
    code: str
    what: str


@dataclass(frozen=True)
class Look:
    """A function that runs in a workflow."""

    function: Function
    inference: Inference
    is_workflow: bool
    """Whether it is one itself, and not a function that one calls."""
    oldest_python: tuple[int, int]

    def nodes(self, *kinds: type[N]) -> Iterator[N]:
        """The function's own nodes of these kinds."""
        return (node for node in self.function.nodes if isinstance(node, kinds))

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self.function.nodes.get(node)

    def of(self, node: ast.expr | None) -> Value | None:
        return self.inference.of(node, self.function.scope)

    def path(self, node: ast.expr | None) -> str | None:
        """The dotted name, if it is something outside of the project."""
        return self.inference.path(node, self.function.scope)


Check = Callable[[Look], Iterator[Found]]
