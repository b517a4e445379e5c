"""PRD101 to PRD112 and PRD204: calls that reach outside of the workflow, or into its loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.known import CONTEXT, LOOP, PASSES_ON
from perdure.lint.look import Found, Look
from perdure.lint.outside import code_of_call, code_of_read, is_harmless
from perdure.lint.values import Named

_IDENTITY = ("builtins.hash", "builtins.id")
_TELLING = frozenset(f"builtins.{name}" for name in ("str", "repr", "hex", "oct", "bin", "format", "abs", "divmod"))


def check(look: Look) -> Iterator[Found]:
    for call in look.nodes(ast.Call):
        path = look.path(call.func)
        if path in _IDENTITY:
            if _is_told(look, call):
                yield Found(call, "PRD112", _shown(path))
        elif path is not None:
            code = code_of_call(path)
            if code is not None and not is_harmless(path, call):
                yield Found(call, code, _shown(path))
            elif path.startswith(PASSES_ON) or path.endswith((".sort", ".call_later", ".call_at", ".call_soon")):
                yield from _handed_on(look, call)
    for name in look.nodes(ast.Attribute, ast.Name):
        path = look.path(name)
        code = None if path is None else code_of_read(path)
        if path is not None and code is not None and not _is_part_of_found(look, name):
            yield Found(name, code, path)


def _handed_on(look: Look, call: ast.Call) -> Iterator[Found]:
    """Functions that are passed to one that will call them."""
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        found = look.of(argument) if isinstance(argument, ast.Name | ast.Attribute) else None
        if isinstance(found, Named) and found.path.rpartition(".")[2].islower():
            code = code_of_call(found.path)
            if code is not None and look.path(call.func) not in (
                "builtins.isinstance",
                f"{CONTEXT}.execute_sub_workflow",
            ):
                yield Found(argument, code, _shown(found.path))


def _is_part_of_found(look: Look, node: ast.expr) -> bool:
    """`sys.stdout` in a call that is found anyway, as in print(file=sys.stdout)."""
    parent = look.parent(node)
    call = look.parent(parent) if isinstance(parent, ast.keyword) else None
    return isinstance(call, ast.Call) and look.path(call.func) == "builtins.print"


def _is_told(look: Look, call: ast.Call) -> bool:
    """Whether an identity gets into text, numbers or a command; most only look something up, which is harmless."""
    if look.function.node.name == "__hash__":
        return False
    match look.parent(call):
        case ast.FormattedValue() | ast.BinOp() | ast.Return():
            return True
        case ast.Call() as user:
            path = look.path(user.func) or ""
            return path in _TELLING or path.startswith(f"{CONTEXT}.")
        case _:
            return False


def _shown(path: str) -> str:
    return f"{path.removeprefix('builtins.').replace(LOOP, 'loop')}()"
