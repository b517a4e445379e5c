"""PRD201: where the order of a set shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.known import FUTURES, NUMBERS, SET
from perdure.lint.look import Found, Look
from perdure.lint.values import Instance

_ORDERED_BY = frozenset(
    f"builtins.{name}" for name in ("list", "tuple", "enumerate", "iter", "map", "filter", "zip", "reversed")
) | {"collections.deque", "itertools.chain", "itertools.islice", "builtins.dict.fromkeys", "asyncio.gather"}
"""Functions that keep the order of what they take."""

_UNORDERED_BY = frozenset(
    f"builtins.{name}"
    for name in ("sorted", "set", "frozenset", "len", "sum", "min", "max", "any", "all", "isinstance", "issubclass")
) | {"collections.Counter", "asyncio.wait", "math.fsum", "math.prod"}
"""Functions whose outcome doesn't depend on the order."""

_COLLECTING = frozenset({"add", "discard", "update", "remove"})


def check(look: Look) -> Iterator[Found]:
    for node in look.function.nodes:
        for user in _ordered_uses(look, node):
            if not _is_unordered_again(look, user):
                yield Found(user, "PRD201", "the order of a set")


def _ordered_uses(look: Look, node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that show the order of a set."""
    match node:
        case ast.For(iter=iterable) if _is_set(look, iterable) and not _only_collects(node.body):
            yield iterable
        case ast.ListComp(generators=[first, *_]) | ast.GeneratorExp(generators=[first, *_]):
            if _is_set(look, first.iter):
                yield node
        case ast.DictComp(generators=[first, *_]) if _is_set(look, first.iter):
            yield node
        case ast.Starred(value=value) if _is_set(look, value) and isinstance(node.ctx, ast.Load):
            yield node
        case ast.YieldFrom(value=value) if _is_set(look, value):
            yield node
        case ast.Call():
            yield from _ordering_call(look, node)
        case _:
            pass


def _ordering_call(look: Look, call: ast.Call) -> Iterator[ast.expr]:
    path = look.path(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method == "pop" and isinstance(call.func, ast.Attribute) and not call.args and _is_set(look, call.func.value):
        yield call
    elif path in _ORDERED_BY or method in ("join", "extend", "fromkeys"):
        yield from ([call] if any(_is_set(look, argument) for argument in call.args) else [])


def _is_set(look: Look, node: ast.expr) -> bool:
    """Whether it is a set whose order differs from process to process: numbers and tasks have a fixed one."""
    found = look.of(node)
    if not isinstance(found, Instance) or found.of != SET:
        return False
    held = found.item.of if isinstance(found.item, Instance) else None
    return held not in NUMBERS and held not in FUTURES


def _is_unordered_again(look: Look, node: ast.expr) -> bool:
    """Whether the order is gone where it would be used: `sorted(list(towns))`."""
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.Starred | ast.Call):
        parent = look.parent(node)
        if isinstance(parent, ast.For):
            return _only_collects(parent.body)
        if isinstance(parent, ast.comprehension):
            owner = look.parent(parent)
            return isinstance(owner, ast.SetComp)
        if isinstance(parent, ast.Set | ast.Compare):
            return True
        if isinstance(parent, ast.Call) and node in parent.args:
            if look.path(parent.func) in _UNORDERED_BY or _collects(parent):
                return True
            return look.path(parent.func) in _ORDERED_BY and _is_unordered_again(look, parent)
    return False


def _collects(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("update", "union", "intersection", "difference")


def _only_collects(body: list[ast.stmt]) -> bool:
    """Whether a loop leaves the same behind in any order: it counts, sums up, fills a set, or raises."""
    return all(_is_collecting(statement) for statement in body)


def _is_collecting(statement: ast.stmt) -> bool:
    match statement:
        case ast.AugAssign(op=ast.Add() | ast.Mult() | ast.BitOr() | ast.BitAnd() | ast.Sub(), value=value):
            return not any(
                isinstance(node, ast.Await | ast.List | ast.ListComp | ast.JoinedStr) for node in ast.walk(value)
            )
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return name in _COLLECTING
        case ast.If(body=body, orelse=orelse):
            return _only_collects([*body, *orelse])
        case ast.Pass() | ast.Continue() | ast.Raise() | ast.Assert():
            return True
        case _:
            return False
