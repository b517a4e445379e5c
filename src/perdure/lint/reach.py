"""Which functions are workflow code: the workflows themselves, and what they call."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.lint.inference import Inference
from perdure.lint.known import CONTEXT, PASSES_ON
from perdure.lint.look import Look
from perdure.lint.outside import code_of_call
from perdure.lint.scopes import Scope
from perdure.lint.syntax import FunctionNode, statements
from perdure.lint.values import Class, Function, Instance, Module, definition

_RUN_BY_MAKING = ("__new__", "__init__", "__post_init__", "__attrs_post_init__")
_RUN_BY_A_BLOCK = ("__enter__", "__exit__", "__aenter__", "__aexit__")
_TAKES_ACTIVITY = ("execute_activity", "add")


def workflows_in(module: Module, inference: Inference, *, every_async: bool = False) -> Iterator[Function]:
    """The workflows that a module defines or registers, and the functions to which a Context is passed."""
    for scope, node in _definitions(module.tree.body, module.scope):
        function = definition(scope, node)
        if isinstance(function, Function) and (
            (every_async and isinstance(node, ast.AsyncFunctionDef)) or _is_workflow_code(function, inference)
        ):
            yield function
    if any("workflows" in line for line in module.lines):
        yield from _registered(module, inference)


def called_by(look: Look) -> Iterator[tuple[ast.AST, Function]]:
    """The functions of the project that a function runs, each with the place."""
    for node in look.function.nodes:
        for function in _run_at(look, node):
            if not look.inference.is_activity(function):
                yield node, function
    for decorator in look.function.node.decorator_list:
        made_by = look.inference.of(
            decorator.func if isinstance(decorator, ast.Call) else decorator, look.function.parent
        )
        if isinstance(made_by, Function):
            yield from (
                (look.function.node, each) for each in made_by.scope.made.values() if isinstance(each, Function)
            )


def _definitions(body: list[ast.stmt], scope: Scope) -> Iterator[tuple[Scope, ast.AST]]:
    """All functions of a module, those in classes and in functions, too."""
    waiting = [(scope, body)]
    while waiting:
        scope, body = waiting.pop()
        for node in _defined(body):
            yield scope, node
            made = definition(scope, node)
            waiting.append((made.scope, made.node.body))


def _defined(body: list[ast.stmt]) -> Iterator[FunctionNode | ast.ClassDef]:
    return (node for node in statements(body) if isinstance(node, FunctionNode | ast.ClassDef))


def _is_workflow_code(function: Function, inference: Inference) -> bool:
    decorators = inference.decorators(function)
    if "perdure.workflow" in decorators:
        return True
    arguments = function.node.args
    return "perdure.activity" not in decorators and any(
        inference.annotated(each.annotation, function.parent) == Instance(CONTEXT)
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if each.annotation is not None
    )


def _registered(module: Module, inference: Inference) -> Iterator[Function]:
    """Functions in `App(workflows=[…])`."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=function, keywords=keywords):
                for keyword in keywords:
                    if keyword.arg == "workflows" and inference.path(function, module.scope) == "perdure.App":
                        yield from _listed(keyword.value, module, inference)
            case _:
                pass


def _listed(node: ast.expr, module: Module, inference: Inference) -> Iterator[Function]:
    items = node.elts if isinstance(node, ast.List | ast.Tuple) else []
    yield from (each for each in (inference.of(item, module.scope) for item in items) if isinstance(each, Function))


def _run_at(look: Look, node: ast.AST) -> Iterator[Function]:
    match node:
        case ast.Call():
            yield from _of_value(look, look.of(node.func))
        case ast.With() | ast.AsyncWith():
            for item in node.items:
                yield from _methods(look, look.of(item.context_expr), _RUN_BY_A_BLOCK)
        case ast.Attribute(value=owner, attr=name, ctx=ast.Load()):
            yield from _property(look, owner, name)
            yield from _handed_on(look, node)
        case ast.Name(ctx=ast.Load()):
            yield from _handed_on(look, node)
        case _:
            pass


def _of_value(look: Look, value: object) -> Iterator[Function]:
    if isinstance(value, Function):
        yield value
    elif isinstance(value, Class):
        yield from _methods(look, Instance(value), _RUN_BY_MAKING)
    elif isinstance(value, Instance):
        yield from _methods(look, value, ("__call__",))


def _methods(look: Look, value: object, names: tuple[str, ...]) -> Iterator[Function]:
    if isinstance(value, Instance) and isinstance(value.of, Class):
        members = (look.inference.member(value.of, name) for name in names)
        yield from (each for each in members if isinstance(each, Function))


def _property(look: Look, owner: ast.expr, name: str) -> Iterator[Function]:
    value = look.of(owner)
    if isinstance(value, Instance) and isinstance(value.of, Class):
        member = look.inference.member(value.of, name)
        if isinstance(member, Function) and {"builtins.property", "functools.cached_property"} & set(
            look.inference.decorators(member)
        ):
            yield member


def _handed_on(look: Look, node: ast.Name | ast.Attribute) -> Iterator[Function]:
    """A function that isn't called here, but that somebody else will call: one defined in this one, or an argument."""
    function = look.of(node)
    if not isinstance(function, Function):
        return
    parent = look.parent(node)
    call = look.parent(parent) if isinstance(parent, ast.keyword) else parent
    if isinstance(call, ast.Call):
        if node is call.func or _is_activity_of(call, node):
            return
        called = look.path(call.func) or ""
        if code_of_call(called) is not None:
            return  # a thread, say: that is told, and what it runs isn't workflow code
        if called.startswith(PASSES_ON) or _is_sort(call):
            yield function
            return
    if function.is_nested:
        yield function


def _is_activity_of(call: ast.Call, node: ast.AST) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _TAKES_ACTIVITY and node in call.args[:1]


def _is_sort(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "sort"
