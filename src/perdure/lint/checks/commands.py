"""PRD501 to PRD503: commands that nobody waits for, and what is passed to them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.known import COMMANDS, CONTEXT, COROUTINE, COROUTINES
from perdure.lint.look import Found, Look
from perdure.lint.values import Function, Instance

_BY_FUNCTION = frozenset(
    f"{CONTEXT}.{name}" for name in ("execute_activity", "execute_sub_workflow", "continue_as_new")
)


def check(look: Look) -> Iterator[Found]:
    for call in look.nodes(ast.Call):
        called = look.of(call.func)
        if look.path(call.func) in _BY_FUNCTION and call.args and look.of(call.args[0]) == Instance("builtins.str"):
            yield Found(call, "PRD502", f"{ast.unparse(call.args[0])} is a name, not a function")
        if isinstance(called, Function) and look.inference.is_activity(called):
            yield Found(call, "PRD503", f"activity {called.name} is called")
        elif _is_wasted(look, call) and _waits(look, call):
            yield Found(call, "PRD501", f"{ast.unparse(call.func)}(…) isn't awaited")


def _waits(look: Look, call: ast.Call) -> bool:
    """Whether awaiting the call is what makes it happen, or tells how it ended."""
    path = look.path(call.func)
    if path is not None:
        return path in COMMANDS or path in COROUTINES
    found = look.of(call)
    return isinstance(found, Instance) and found.of == COROUTINE


def _is_wasted(look: Look, call: ast.Call) -> bool:
    """Whether nobody takes the result, or only asks whether it is true."""
    match look.parent(call):
        case ast.Expr():
            return True
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            return test is call
        case ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return not name.startswith("_") and not _is_read(look, name)
        case _:
            return False


def _is_read(look: Look, name: str) -> bool:
    """Whether the function, or one in it, reads the variable."""
    return name in look.function.scope.elsewhere or any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for node in ast.walk(look.function.node)
    )
