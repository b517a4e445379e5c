"""PRD301 and PRD302: handlers that keep a cancel from its workflow."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.look import Found, Look
from perdure.lint.scopes import By
from perdure.lint.syntax import has_await, inside, is_method
from perdure.lint.values import Function

_CANCELLED = "asyncio.CancelledError"
_EVERYTHING = "builtins.BaseException"
_FROM_A_VALUE = (By.VALUE, By.SOMETHING)
_KNOWS = frozenset({"uncancel", "cancelling", "continue_as_new", "exc_info"})
"""Methods for code that knows what it does with a cancel."""
_TELLS = frozenset(
    {"debug", "info", "warning", "error", "exception", "critical", "log", "print", "str", "repr", "type", "format"}
)
"""Functions that only say what was caught; any other may keep it, or raise it."""


def check(look: Look) -> Iterator[Found]:
    for block in look.nodes(ast.Try):
        if has_await(block.body) and not _was_cancelled_here(look, block.body):
            yield from _handlers(look, block)
    for manager in look.nodes(ast.With):
        yield from _suppressing(look, manager)
    for async_manager in look.nodes(ast.AsyncWith):
        yield from _suppressing(look, async_manager)


def _suppressing(look: Look, block: ast.With | ast.AsyncWith) -> Iterator[Found]:
    for item in block.items:
        is_suppressed = _suppresses(look, item.context_expr) and has_await(block.body)
        if is_suppressed and not _was_cancelled_here(look, block.body):
            yield Found(item.context_expr, "PRD301", "a cancel is suppressed")


def _suppresses(look: Look, manager: ast.expr) -> bool:
    if not isinstance(manager, ast.Call) or look.path(manager.func) != "contextlib.suppress":
        return False
    return not {_CANCELLED, _EVERYTHING}.isdisjoint(map(look.path, manager.args))


def _handlers(look: Look, block: ast.Try) -> Iterator[Found]:
    for handler in block.handlers:
        caught = _caught(look, handler)
        is_first = caught & {_CANCELLED, _EVERYTHING}
        if is_first and not _passes_on(look, handler):
            if _CANCELLED in caught:
                yield Found(handler, "PRD301", "a cancel ends here")
            else:
                yield Found(handler, "PRD302", "`except:`" if handler.type is None else "`except BaseException:`")
        if is_first:
            return  # the handlers behind it never see a cancel


def _caught(look: Look, handler: ast.ExceptHandler) -> set[str | None]:
    if handler.type is None:
        return {_EVERYTHING}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {look.path(kind) for kind in kinds}


def _passes_on(look: Look, handler: ast.ExceptHandler) -> bool:
    """Whether the handler raises, or hands the exception to something that may."""
    for node in inside(handler.body):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _takes(look, node, handler.name)):
            return True
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and _is_name(node.value, handler.name):
            return True
    return False


def _takes(look: Look, call: ast.Call, caught: str | None) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _KNOWS or (isinstance(called := look.of(call.func), Function) and called.always_raises):
        return True
    return name not in _TELLS and any(_is_name(argument, caught) for argument in call.args)


def _is_name(node: ast.expr | None, name: str | None) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _was_cancelled_here(look: Look, body: list[ast.stmt]) -> bool:
    """Whether all that the block waits for was cancelled before by this very function."""
    awaited = [node.value for node in inside(body) if isinstance(node, ast.Await)]
    if not awaited or any(isinstance(node, ast.AsyncFor | ast.AsyncWith) for node in inside(body)):
        return False
    cancelled = _cancelled_before(look, body[0])
    return all(_is_below_with_cancel(look, each) or _mentions(each, cancelled) for each in awaited)


def _cancelled_before(look: Look, node: ast.stmt) -> set[str]:
    """As source text: what `cancel` was taken from, to be called or handed on, and the collections that a loop took it from."""
    last = node.end_lineno or node.lineno
    cancelled = {
        ast.unparse(each.value) for each in look.nodes(ast.Attribute) if each.attr == "cancel" and each.lineno <= last
    }
    for loop in look.nodes(ast.For):
        if isinstance(loop.target, ast.Name) and loop.target.id in cancelled:
            cancelled.add(ast.unparse(loop.iter))
    return cancelled


def _mentions(node: ast.expr, texts: set[str]) -> bool:
    return any(isinstance(part, ast.Name | ast.Attribute) and ast.unparse(part) in texts for part in ast.walk(node))


def _is_below_with_cancel(look: Look, node: ast.expr) -> bool:
    """Whether it belongs to the child of a with_cancel, or was made by one, also by one of an enclosing function."""
    values = [value for name in _names(node) for value in _bound_to(look, name)]
    sources = [*values, *(value for each in values for name in _names(each) for value in _bound_to(look, name))]
    return any(isinstance(each, ast.Call) and is_method(each, "with_cancel") for each in sources)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _bound_to(look: Look, name: str) -> list[ast.AST]:
    found = look.function.scope.find(name)
    return (
        [] if found is None else [each.node for each in found[1] if each.by in _FROM_A_VALUE and each.node is not None]
    )
