"""What an expression may turn out to be: a name from outside, a definition of the project, or an object of a known class."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from perdure.lint.scopes import By, Scope, bind_function, bind_statements
from perdure.lint.syntax import FunctionNode, Parents, inside, statements


@dataclass(frozen=True, slots=True)
class Named:
    """A module, function or class outside of the project, by its dotted name."""

    path: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class; `item` is what a container holds, or what awaiting a coroutine gives."""

    of: str | Class
    item: Value | None = None


@dataclass(eq=False, repr=False)
class Module:
    """A source file, parsed."""

    name: str
    path: Path
    is_package: bool
    tree: ast.Module
    lines: list[str]

    @cached_property
    def scope(self) -> Scope:
        scope = Scope(self, None)
        bind_statements(scope, self.tree.body)
        return scope

    def absolute(self, name: str | None, level: int) -> str:
        """What `from ..name import` means here."""
        if not level:
            return name or ""
        package = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        above = package[: len(package) - level + 1]
        return ".".join((*above, name) if name else above)


@dataclass(eq=False, repr=False)
class Class:
    """A class of the project."""

    node: ast.ClassDef
    parent: Scope

    @cached_property
    def scope(self) -> Scope:
        scope = Scope(self.parent.module, self.parent, self)
        bind_statements(scope, self.node.body)
        return scope

    @cached_property
    def fields(self) -> dict[str, list[tuple[Scope, ast.expr, bool]]]:
        """What methods assign to `self.…`: where, what, and whether it is an annotation."""
        return self._of_self(_assigned)

    @cached_property
    def added(self) -> dict[str, list[tuple[Scope, ast.expr, bool]]]:
        """What methods put into containers, as in `self.tasks.add(task)`."""
        return self._of_self(_added)

    def _of_self(self, found_in: Callable[[ast.stmt], list[_Part]]) -> dict[str, list[tuple[Scope, ast.expr, bool]]]:
        found: dict[str, list[tuple[Scope, ast.expr, bool]]] = {}
        for node in self.node.body:
            if isinstance(node, FunctionNode) and node.args.args:
                scope = made_here(self.scope, node).scope
                for statement in statements(node.body):
                    for target, value, is_annotation in found_in(statement):
                        if isinstance(target.value, ast.Name) and target.value.id == node.args.args[0].arg:
                            found.setdefault(target.attr, []).append((scope, value, is_annotation))
        return found


@dataclass(eq=False, repr=False)
class Function:
    """A function of the project."""

    node: FunctionNode
    parent: Scope

    @property
    def module(self) -> Module:
        return self.parent.module

    @property
    def is_nested(self) -> bool:
        """Whether it stands in another function."""
        return self.parent.parent is not None and self.parent.of_class is None

    @cached_property
    def name(self) -> str:
        names = [self.node.name]
        scope: Scope | None = self.parent
        while scope is not None:
            if scope.of_class is not None:
                names.append(scope.of_class.node.name)
            scope = scope.parent
        return ".".join(reversed(names))

    @cached_property
    def yields(self) -> bool:
        return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inside(self.node.body))

    @property
    def always_raises(self) -> bool:
        """Whether it can't return, as far as it shows."""
        returns = self.node.returns
        is_said = returns is not None and ast.unparse(returns).rpartition(".")[2] in ("NoReturn", "Never")
        return is_said or isinstance(self.node.body[-1], ast.Raise)

    @property
    def is_coroutine(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef) and not self.yields

    @property
    def is_async_generator(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef) and self.yields

    @property
    def _receiver(self) -> By | None:
        """What its first parameter is, apart from an argument."""
        if self.parent.of_class is None:
            return None
        decorators = {each.id for each in self.node.decorator_list if isinstance(each, ast.Name)}
        if "staticmethod" in decorators:
            return None
        return By.CLASS if "classmethod" in decorators else By.INSTANCE

    @cached_property
    def _bound(self) -> tuple[Scope, Parents]:
        scope = Scope(self.module, self.parent)
        return scope, bind_function(scope, self.node, self._receiver)

    @property
    def scope(self) -> Scope:
        return self._bound[0]

    @property
    def nodes(self) -> Parents:
        """All nodes that run with it, each with its parent."""
        return self._bound[1]


Value = Named | Instance | Module | Class | Function


def made_here(scope: Scope, node: FunctionNode) -> Function:
    """The function that a definition in this scope makes; always the same one."""
    made = definition(scope, node)
    assert isinstance(made, Function)
    return made


def definition(scope: Scope, node: ast.AST) -> Function | Class:
    """What a `def` or `class` in this scope makes; always the same object."""
    if node not in scope.made:
        scope.made[node] = Class(node, scope) if isinstance(node, ast.ClassDef) else Function(_function(node), scope)
    return scope.made[node]


def _function(node: ast.AST) -> FunctionNode:
    assert isinstance(node, FunctionNode)
    return node


_Part = tuple[ast.Attribute, ast.expr, bool]


def _added(statement: ast.stmt) -> list[_Part]:
    match statement:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Attribute() as owner, attr="add" | "append"), args=[item])
        ):
            return [(owner, item, False)]
        case _:
            return []


def _assigned(statement: ast.stmt) -> list[_Part]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Attribute):
        return [(statement.target, statement.annotation, True)]
    if isinstance(statement, ast.Assign):
        return [(each, statement.value, False) for each in statement.targets if isinstance(each, ast.Attribute)]
    return []
