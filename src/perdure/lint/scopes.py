"""Names: what binds them, in modules, classes and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from perdure.lint.syntax import FunctionNode, own_nodes, parameters, statements

if TYPE_CHECKING:
    from perdure.lint.values import Class, Function, Module


class By(Enum):
    """How a name gets its value."""

    IMPORT = auto()
    DEFINITION = auto()
    VALUE = auto()
    ANNOTATION = auto()
    ITEM = auto()
    """An item of a value, as in a loop."""
    ENTERING = auto()
    """What a context manager gives."""
    INSTANCE = auto()
    """`self`."""
    CLASS = auto()
    """`cls`."""
    SOMETHING = auto()


@dataclass(frozen=True, slots=True)
class Binding:
    by: By
    node: ast.AST | None = None
    path: str = ""
    """The dotted name that was imported."""


@dataclass(eq=False, repr=False, slots=True)
class Scope:
    """Where names are bound; `of_class` is the class whose body it is."""

    module: Module
    parent: Scope | None
    of_class: Class | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    """Declared global or nonlocal."""
    added: dict[str, list[ast.expr]] = field(default_factory=dict)
    """What is put into a container by `name.add(…)` or `name.append(…)`."""
    made: dict[ast.AST, Function | Class] = field(default_factory=dict)
    """Functions and classes that were made of the definitions here."""

    def bind(self, name: str, binding: Binding) -> None:
        self.bindings.setdefault(name, []).append(binding)

    def find(self, name: str) -> tuple[Scope, list[Binding]] | None:
        """The scope that binds a name that is read here, and how. None: a builtin."""
        scope: Scope | None = self
        while scope is not None:
            is_visible = scope is self or scope.of_class is None
            if is_visible and name in scope.bindings and name not in scope.elsewhere:
                return scope, scope.bindings[name]
            scope = scope.parent
        return None


_BINDING = frozenset(
    {
        ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.NamedExpr,
        ast.For, ast.AsyncFor, ast.comprehension, ast.withitem, ast.ExceptHandler, ast.Global, ast.Nonlocal, ast.Lambda,
        ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.Call,
    }
)  # fmt: skip


def bind_statements(scope: Scope, body: list[ast.stmt]) -> None:
    """Bind what the statements of a module or class bind."""
    for statement in statements(body):
        _bind(scope, statement)


def bind_function(scope: Scope, node: FunctionNode, receiver: By | None) -> dict[ast.AST, ast.AST]:
    """Bind parameters and locals of a function; gives its nodes with their parents."""
    for place, parameter in enumerate(parameters(node)):
        is_packed = parameter in (node.args.vararg, node.args.kwarg)
        if receiver is not None and place == 0:
            scope.bind(parameter.arg, Binding(receiver))
        elif parameter.annotation is None or is_packed:
            scope.bind(parameter.arg, Binding(By.SOMETHING))
        else:
            scope.bind(parameter.arg, Binding(By.ANNOTATION, parameter.annotation))
    nodes = own_nodes(node)
    for each in nodes:
        if type(each) in _BINDING:
            _bind(scope, each)
    return nodes


def _bind(scope: Scope, node: ast.AST) -> None:  # noqa: C901, PLR0912 - a case for each kind of node
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            scope.bind(node.name, Binding(By.DEFINITION, node))
        case ast.Import():
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                scope.bind(alias.asname or whole, Binding(By.IMPORT, node, whole))
        case ast.ImportFrom():
            source = scope.module.absolute(node.module, node.level)
            for alias in node.names:
                scope.bind(alias.asname or alias.name, Binding(By.IMPORT, node, f"{source}.{alias.name}"))
        case ast.Assign():
            for target in node.targets:
                _bind_target(scope, target, By.VALUE, node.value)
        case ast.AnnAssign(target=ast.Name(id=name)):
            scope.bind(name, Binding(By.ANNOTATION, node.annotation))
        case ast.NamedExpr():
            _bind_target(scope, node.target, By.VALUE, node.value)
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            _bind_target(scope, node.target, By.ITEM, node.iter)
        case ast.withitem(optional_vars=ast.expr() as target):
            _bind_target(scope, target, By.ENTERING, node.context_expr)
        case ast.ExceptHandler(name=str(name)):
            scope.bind(name, Binding(By.SOMETHING))
        case ast.Global() | ast.Nonlocal():
            scope.elsewhere.update(node.names)
        case ast.Lambda():
            for parameter in parameters(node):
                scope.bind(parameter.arg, Binding(By.SOMETHING))
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            scope.bind(name, Binding(By.SOMETHING))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="add" | "append"), args=[argument]):
            scope.added.setdefault(name, []).append(argument)
        case _:
            pass


def _bind_target(scope: Scope, target: ast.expr, by: By, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        scope.bind(target.id, Binding(by, value))
    elif isinstance(target, ast.Tuple | ast.List) and by is By.VALUE and (pairs := _pairs(target, value)):
        for part, part_of_value in pairs:
            _bind_target(scope, part, by, part_of_value)
    else:
        for name in _names_in(target):
            scope.bind(name, Binding(By.SOMETHING, value))


def _pairs(target: ast.Tuple | ast.List, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What goes where in `a, b = 1, 2`; nothing if that can't be told."""
    if not isinstance(value, ast.Tuple | ast.List) or len(value.elts) != len(target.elts):
        return []
    if any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts)):
        return []
    return list(zip(target.elts, value.elts, strict=True))


def _names_in(target: ast.expr) -> Iterator[str]:
    return (node.id for node in _parts(target) if isinstance(node, ast.Name))


def _parts(target: ast.expr) -> Iterable[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _parts(each)
    else:
        yield target.value if isinstance(target, ast.Starred) else target
