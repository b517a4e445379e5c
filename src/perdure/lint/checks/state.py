"""PRD401 to PRD403: state that instances share, and workflows that aren't coroutines."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.known import container
from perdure.lint.look import Found, Look
from perdure.lint.scopes import Scope
from perdure.lint.values import Class, Instance, Module, Named, Value

_CONTAINERS = frozenset({"builtins.set", "builtins.list", "builtins.dict"})
_CHANGING = frozenset(
    {"append", "appendleft", "add", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem", "popleft"}
    | {"remove", "reverse", "rotate", "setdefault", "sort", "subtract", "update"}
)


def check(look: Look) -> Iterator[Found]:
    yield from _written(look)
    yield from _mutable_defaults(look)
    if (
        look.is_workflow
        and not look.function.is_coroutine
        and "perdure.workflow" in look.inference.decorators(look.function)
    ):
        yield Found(look.function.node, "PRD403", f"workflow {look.function.name} isn't a coroutine function")


def _written(look: Look) -> Iterator[Found]:
    for statement in look.function.nodes:
        if isinstance(statement, ast.Assign | ast.Delete):
            for target in statement.targets:
                yield from _target(look, target, statement)
        elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
            yield from _target(look, statement.target, statement)
        elif isinstance(statement, ast.Call):
            yield from _changing_call(look, statement)


def _target(look: Look, target: ast.expr, statement: ast.AST) -> Iterator[Found]:
    match target:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _target(look, part, statement)
        case ast.Name(id=name) if name in look.function.scope.elsewhere and _is_global(look, target):
            yield Found(statement, "PRD401", f"the global variable {name} is written")
        case ast.Attribute(value=owner, attr=name) if _is_shared(look.of(owner)):
            yield Found(statement, "PRD401", f"{ast.unparse(owner)}.{name} is written, which all instances share")
        case ast.Attribute(value=owner, attr=name) if _is_outside_module(look, owner):
            yield Found(statement, "PRD401", f"{ast.unparse(owner)}.{name} is written, which all instances share")
        case ast.Subscript(value=owner) if _is_shared_container(look, owner):
            yield Found(statement, "PRD401", f"{ast.unparse(owner)} is changed, which all instances share")
        case _:
            pass


def _changing_call(look: Look, call: ast.Call) -> Iterator[Found]:
    if (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in _CHANGING
        and _is_shared_container(look, call.func.value)
    ):
        yield Found(call, "PRD401", f"{ast.unparse(call.func.value)} is changed, which all instances share")
    elif look.path(call.func) == "builtins.next" and call.args and _is_global(look, call.args[0]):
        yield Found(call, "PRD401", f"{ast.unparse(call.args[0])} is moved on, which all instances share")


def _is_shared_container(look: Look, node: ast.expr) -> bool:
    while isinstance(node, ast.Subscript):  # one in a container, as in seen[name].append(…)
        node = node.value
    found = look.of(node)
    is_container = isinstance(found, Instance) and isinstance(found.of, str) and container(found.of) in _CONTAINERS
    return is_container and _is_global(look, node)


def _is_global(look: Look, node: ast.expr) -> bool:
    """Whether it is a variable of a module or of a class."""
    match node:
        case ast.Name(id=name):
            found = look.function.scope.find(name)
            return found is not None and found[0].parent is None
        case ast.Attribute(value=owner, attr=name):
            found_owner = look.of(owner)
            if isinstance(found_owner, Instance) and isinstance(found_owner.of, Class):
                return _is_shared(found_owner.of) and _stays_in_class(found_owner.of, name)
            if isinstance(found_owner, Class) and name not in found_owner.scope.bindings:
                return False
            return _is_shared(found_owner)
        case _:
            return False


def _is_shared(owner: Value | None) -> bool:
    """Whether it is a module, or a class that wasn't made by a function."""
    if isinstance(owner, Class):
        scope: Scope | None = owner.parent
        while scope is not None and scope.of_class is not None:
            scope = scope.parent
        return scope is not None and scope.parent is None
    return isinstance(owner, Module)


def _stays_in_class(class_: Class, name: str) -> bool:
    """Whether its objects have no attribute of this name of their own, nor copies of it, as those of dataclasses have."""
    is_plain = not class_.node.bases and not class_.node.decorator_list
    return is_plain and name in class_.scope.bindings and name not in class_.fields


def _is_outside_module(look: Look, node: ast.expr) -> bool:
    found = look.of(node)
    bound = look.function.scope.find(node.id) if isinstance(node, ast.Name) else None
    is_import = bound is not None and any(isinstance(each.node, ast.Import) for each in bound[1])
    return isinstance(found, Named) and is_import


def _mutable_defaults(look: Look) -> Iterator[Found]:
    arguments = look.function.node.args
    for default in (*arguments.defaults, *(each for each in arguments.kw_defaults if each is not None)):
        found = look.inference.of(default, look.function.parent)
        is_new = isinstance(
            default, ast.List | ast.Dict | ast.Set | ast.Call | ast.ListComp | ast.DictComp | ast.SetComp
        )
        if is_new and isinstance(found, Instance) and isinstance(found.of, str) and _is_mutable(found.of, default):
            yield Found(default, "PRD402", f"{ast.unparse(default)} is one object for all calls")


def _is_mutable(of: str, default: ast.expr) -> bool:
    is_frozen = isinstance(default, ast.Call) and ast.unparse(default.func).rpartition(".")[2] in ("frozenset", "tuple")
    return container(of) in _CONTAINERS and not is_frozen
