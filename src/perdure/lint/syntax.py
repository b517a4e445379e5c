"""Walking syntax trees function by function: what runs when a function runs, and not what it only defines."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Parents = dict[ast.AST, ast.AST]

_NO_CODE = frozenset({"annotation", "returns", "type_params", "type_comment", "ctx", "op", "ops"})
"""Fields that hold nothing that runs."""


def own_nodes(function: FunctionNode) -> Parents:
    """All nodes that run with the function, each with its parent, in no particular order.

    Lambdas and comprehensions belong to the function that they stand in. What `side_effect` runs does not: it is recorded.
    """
    parents: Parents = dict.fromkeys(function.body, function)
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        parent = waiting.pop()
        children = _children_of_special(parent) if type(parent) in _SPECIAL else _children(parent)
        for child in children:
            parents[child] = parent
        waiting += children
    return parents


_SPECIAL = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Call)


def _children_of_special(node: ast.AST) -> list[ast.AST]:
    match node:
        case (
            ast.FunctionDef(decorator_list=decorators, args=arguments)
            | ast.AsyncFunctionDef(decorator_list=decorators, args=arguments)
        ):
            return [*decorators, *arguments.defaults, *(each for each in arguments.kw_defaults if each is not None)]
        case ast.ClassDef(decorator_list=decorators, bases=bases):
            return [*decorators, *bases]
        case ast.Call(func=function, args=[_, *others], keywords=keywords) if is_method(node, "side_effect"):
            return [function, *others, *keywords]
        case _:
            return _children(node)


def _children(node: ast.AST) -> list[ast.AST]:
    children: list[ast.AST] = []
    for name in node._fields:
        if name not in _NO_CODE:
            value = getattr(node, name, None)
            if isinstance(value, list):
                children += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST):
                children.append(value)
    return children


def is_method(call: ast.Call, name: str) -> bool:
    """Whether it is a call of a method of this name."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == name


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body and of the blocks in it, but not those of functions and classes that it defines."""
    for statement in body:
        yield statement
        if not isinstance(statement, FunctionNode | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                yield from statements(getattr(statement, name, []))
            for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                yield from statements(part.body)


def inside(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of these statements, but not what functions, classes and lambdas in them hold."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def has_await(nodes: list[ast.stmt]) -> bool:
    """Whether these statements wait for something themselves."""
    return any(isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) for node in inside(nodes))


def parameters(function: FunctionNode | ast.Lambda) -> Iterator[ast.arg]:
    arguments = function.args
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (each for each in (arguments.vararg, arguments.kwarg) if each is not None)
