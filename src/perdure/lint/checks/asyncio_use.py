"""PRD202, PRD203 and PRD205: what of asyncio is in no fixed order, differs between Pythons, or is left half-way."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.known import COROUTINE
from perdure.lint.look import Found, Look
from perdure.lint.syntax import FunctionNode
from perdure.lint.values import Function, Instance, Value

_AS_COMPLETED = "asyncio.as_completed"


def check(look: Look) -> Iterator[Found]:
    for call in look.nodes(ast.Call):
        yield from _call(look, call, look.path(call.func))
    for loop in look.nodes(ast.For):
        if look.oldest_python < (3, 13) and _is_as_completed(look, loop.iter):
            yield from _uses_before_await(loop)
    for async_loop in look.nodes(ast.AsyncFor):
        if look.oldest_python < (3, 13) and _is_as_completed(look, async_loop.iter):
            yield Found(async_loop, "PRD203", "`async for` over asyncio.as_completed is new in Python 3.13")
        if _new_generator(look, async_loop.iter) and _is_left(async_loop):
            yield Found(async_loop, "PRD205", "an async generator that may be left before its end")


def _call(look: Look, call: ast.Call, path: str | None) -> Iterator[Found]:
    taken = look.of(call.args[0]) if call.args else None
    if path == _AS_COMPLETED and isinstance(taken, Instance) and _is_coroutine(taken.item):
        yield Found(call, "PRD202", "asyncio.as_completed over coroutines")
    elif path == "asyncio.wait_for" and look.oldest_python < (3, 12):
        yield Found(call, "PRD203", "asyncio.wait_for differs in Python 3.11")
    elif path == "builtins.anext" and call.args and _new_generator(look, call.args[0]):
        yield Found(call, "PRD205", "an async generator that is left after one item")


def _is_coroutine(value: Value | None) -> bool:
    return isinstance(value, Instance) and value.of == COROUTINE


def _is_as_completed(look: Look, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and look.path(node.func) == _AS_COMPLETED


def _uses_before_await(loop: ast.For) -> Iterator[Found]:
    """What an `as_completed` loop gives, in another use than being awaited."""
    if not isinstance(loop.target, ast.Name):
        return
    nodes = [node for each in loop.body for node in ast.walk(each)]
    awaited = {node.value for node in nodes if isinstance(node, ast.Await)}
    for node in nodes:
        if _reads(node, loop.target.id) and node not in awaited:
            yield Found(node, "PRD203", "what asyncio.as_completed gives is the task itself from Python 3.13 on")
            return


def _reads(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)


def _new_generator(look: Look, node: ast.expr) -> bool:
    """Whether it calls an async generator of the project; nobody else can close what it gives."""
    called = look.of(node.func) if isinstance(node, ast.Call) else None
    return isinstance(called, Function) and called.is_async_generator and not look.inference.is_opaque(called)


def _is_left(loop: ast.AsyncFor) -> bool:
    """Whether a break or return in the loop's body leaves it."""
    return any(_leaves(statement, in_loop=False) for statement in loop.body)


def _leaves(node: ast.AST, *, in_loop: bool) -> bool:
    if isinstance(node, ast.Return) or (isinstance(node, ast.Break) and not in_loop):
        return True
    if isinstance(node, FunctionNode | ast.Lambda | ast.ClassDef):
        return False
    is_loop = isinstance(node, ast.For | ast.AsyncFor | ast.While)
    return any(_leaves(child, in_loop=in_loop or is_loop) for child in ast.iter_child_nodes(node))
