"""What expressions are: just enough to know what is called, whatever it is called here.

Nothing is guessed. An expression that may be several things, or isn't understood, is None, and rules leave it alone.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable

from perdure.lint.known import ATTRIBUTES, CONTEXT, COROUTINE, SET, TASK, canonical, class_of_call, container
from perdure.lint.project import Project
from perdure.lint.scopes import Binding, By, Scope
from perdure.lint.values import Class, Function, Instance, Module, Named, Value, definition

_DEPTH = 25
"""Steps from a name to what it is; whoever needs more is going in circles."""

_TRANSPARENT = frozenset(
    f"{module}.{name}"
    for module, names in {
        "perdure": "workflow activity",
        "functools": "cache lru_cache wraps",
        "builtins": "staticmethod classmethod property",
        "typing": "override final overload no_type_check",
        "typing_extensions": "override final overload deprecated",
        "abc": "abstractmethod",
    }.items()
    for name in names.split()
)
"""Decorators that leave what a function gives."""

_CONSTANTS: dict[type, Instance] = {
    kind: Instance(f"builtins.{kind.__name__}") for kind in (int, str, bytes, float, bool)
}


class Inference:
    """Resolves expressions within one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[ast.expr, Value | None] = {}
        self._annotated: dict[ast.expr, Instance | None] = {}
        self._depth = 0

    def of(self, node: ast.expr | None, scope: Scope) -> Value | None:
        """What the expression is, when it is evaluated in this scope."""
        if node is None:
            return None
        if node in self._known:
            return self._known[node]
        self._known[node] = None  # what goes in circles is unknown
        found = self._known[node] = self._of(node, scope)
        return found

    def path(self, node: ast.expr | None, scope: Scope) -> str | None:
        """The dotted name, if the expression is something outside of the project."""
        found = self.of(node, scope)
        return found.path if isinstance(found, Named) else None

    def annotated(self, node: ast.expr | None, scope: Scope) -> Instance | None:
        """An object that is annotated so."""
        if node is None:
            return None
        if node not in self._annotated:
            self._annotated[node] = None
            self._annotated[node] = self._annotation(node, scope)
        return self._annotated[node]

    def _annotation(self, node: ast.expr, scope: Scope) -> Instance | None:
        match node:
            case ast.Constant(value=str(text)):
                return self.annotated(_parsed(text), scope)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return _only_instance([self.annotated(each, scope) for each in (left, right) if not _is_none(each)])
            case ast.Subscript(value=value, slice=index):
                return self._annotated_generic(value, index, scope)
            case ast.Name() | ast.Attribute():
                found = self.of(node, scope)
                if isinstance(found, Named):
                    return Instance(container(found.path))
                return Instance(found) if isinstance(found, Class) else None
            case _:
                return None

    def decorators(self, function: Function) -> list[str | None]:
        """The dotted names of its decorators; None for one that isn't known."""
        return [
            self.path(each.func if isinstance(each, ast.Call) else each, function.parent)
            for each in function.node.decorator_list
        ]

    def is_activity(self, function: Function) -> bool:
        return "perdure.activity" in self.decorators(function)

    def is_opaque(self, function: Function) -> bool:
        """Whether a decorator makes something else of it."""
        return any(each not in _TRANSPARENT for each in self.decorators(function))

    def member(self, class_: Class, name: str, seen: frozenset[Class] = frozenset()) -> Value | None:
        """What the class or its bases have under a name."""
        if name in class_.scope.bindings:
            return self._bound(class_.scope, class_.scope.bindings[name])
        if name in class_.fields:
            return self._field(class_, name)
        for base in class_.node.bases:
            found = self.of(base, class_.parent)
            if isinstance(found, Class) and found not in seen:
                inherited = self.member(found, name, seen | {class_})
                if inherited is not None:
                    return inherited
            elif isinstance(found, Named):
                return Named(f"{found.path}.{name}")
        return None

    def _field(self, class_: Class, name: str) -> Value | None:
        found = _only(
            self.annotated(value, scope) if is_annotation else self.of(value, scope)
            for scope, value, is_annotation in _declared_first(class_.fields[name])
        )
        added = class_.added.get(name)
        return _filled(found, [self.of(item, scope) for scope, item, _ in added]) if added else found

    # --- kinds of expressions -------------------------------------------------------------------------------------

    def _of(self, node: ast.expr, scope: Scope) -> Value | None:  # noqa: C901, PLR0911, PLR0912 - a case for each kind of node
        match node:
            case ast.Name(id=name):
                return self._name(name, scope)
            case ast.Attribute(value=value, attr=attribute):
                return self._attribute(self.of(value, scope), attribute)
            case ast.Call():
                return self._call(node, scope)
            case ast.Await(value=value):
                awaited = self.of(value, scope)
                return awaited.item if isinstance(awaited, Instance) and awaited.of == COROUTINE else None
            case ast.Constant(value=value):
                return _CONSTANTS.get(type(value))
            case ast.JoinedStr():
                return Instance("builtins.str")
            case ast.Set(elts=items):
                return Instance(SET, self._items(items, scope))
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return Instance("builtins.list", self._items(items, scope))
            case ast.SetComp(elt=item):
                return Instance(SET, self.of(item, scope))
            case ast.ListComp(elt=item) | ast.GeneratorExp(elt=item):
                return Instance("builtins.list", self.of(item, scope))
            case ast.Dict(keys=keys):
                return Instance("builtins.dict", self._items([key for key in keys if key is not None], scope))
            case ast.DictComp(key=item):
                return Instance("builtins.dict", self.of(item, scope))
            case ast.BinOp(left=left, op=operator, right=right):
                return self._operation(self.of(left, scope), operator, self.of(right, scope))
            case ast.IfExp(body=one, orelse=other):
                return _only([self.of(one, scope), self.of(other, scope)])
            case ast.BoolOp(values=values):
                return _only([self.of(each, scope) for each in values])
            case ast.NamedExpr(value=value):
                return self.of(value, scope)
            case ast.Subscript(value=value):
                held = self.of(value, scope)
                return held.item if isinstance(held, Instance) and held.of == "builtins.list" else None
            case _:
                return None

    def _items(self, items: list[ast.expr], scope: Scope) -> Value | None:
        return _only([self.of(each, scope) for each in items])

    def _operation(self, left: Value | None, operator: ast.operator, right: Value | None) -> Value | None:
        if not isinstance(left, Instance):
            return None
        if left.of == "pathlib.Path" and isinstance(operator, ast.Div):
            return left
        if left.of in (SET, "builtins.dict_keys") and isinstance(
            operator, ast.BitAnd | ast.BitOr | ast.BitXor | ast.Sub
        ):
            return Instance(SET, left.item or (right.item if isinstance(right, Instance) else None))
        return left if left.of in ("builtins.int", "builtins.float", "builtins.str") and left == right else None

    def _name(self, name: str, scope: Scope) -> Value | None:
        found = scope.find(name)
        if found is None:
            return Named(f"builtins.{name}") if hasattr(builtins, name) else self._from_star(name, scope.module)
        return self._bound(*found, name)

    def _bound(self, scope: Scope, bindings: list[Binding], name: str = "") -> Value | None:
        if self._depth > _DEPTH:
            return None
        self._depth += 1
        try:
            return self._all_bindings(scope, bindings, name)
        finally:
            self._depth -= 1

    def _all_bindings(self, scope: Scope, bindings: list[Binding], name: str) -> Value | None:
        definitions = [each for each in bindings if each.by is By.DEFINITION]
        if len(definitions) == len(bindings):
            bindings = bindings[-1:]  # overloads, or one for each platform
        annotations = [each for each in bindings if each.by is By.ANNOTATION]
        values = [self._binding(each, scope) for each in (annotations or bindings)]
        found = _only(values)
        return _filled(found, [self.of(item, scope) for item in scope.added[name]]) if name in scope.added else found

    def _binding(self, binding: Binding, scope: Scope) -> Value | None:
        match binding:
            case Binding(by=By.IMPORT, path=path):
                return self._imported(path, scope.module)
            case Binding(by=By.DEFINITION, node=ast.AST() as node):
                return definition(scope, node)
            case Binding(by=By.INSTANCE | By.CLASS):
                class_ = None if scope.parent is None else scope.parent.of_class
                return class_ if class_ is None or binding.by is By.CLASS else Instance(class_)
            case Binding(node=ast.expr() as node):
                return self._bound_to(binding.by, node, scope)
            case _:
                return None

    def _bound_to(self, by: By, node: ast.expr, scope: Scope) -> Value | None:
        match by:
            case By.VALUE:
                return self.of(node, scope)
            case By.ANNOTATION:
                return self.annotated(node, scope)
            case By.ITEM:
                held = self.of(node, scope)
                return held.item if isinstance(held, Instance) and held.of != COROUTINE else None
            case By.ENTERING:
                return self._entered(self.of(node, scope))
            case _:
                return self._part(node, scope)

    def _part(self, value: ast.expr, scope: Scope) -> Value | None:
        """One of several names that are bound to the parts of a value: only `child, cancel = ctx.with_cancel()` is known."""
        is_pair = isinstance(value, ast.Call) and self.path(value.func, scope) == f"{CONTEXT}.with_cancel"
        return Instance(CONTEXT) if is_pair else None

    def _entered(self, manager: Value | None) -> Value | None:
        """What `async with` and `with` give of managers that give themselves."""
        known = ("asyncio.TaskGroup", CONTEXT, "perdure.Compensations")
        return manager if isinstance(manager, Instance) and manager.of in known else None

    def _imported(self, path: str, module: Module) -> Value | None:
        found = self._project.find(path, module)
        if found is not None:
            return found
        above, _, name = path.rpartition(".")
        if not above:
            return Named(canonical(path))
        source = self._project.find(above, module)
        if source is not None:
            return self._global(source, name)
        return Named(canonical(path))

    def _from_star(self, name: str, module: Module) -> Value | None:
        """A name that only `from module import *` can have brought."""
        sources = [each.path.removesuffix(".*") for each in module.scope.bindings.get("*", ())]
        return self._imported(f"{sources[0]}.{name}", module) if len(sources) == 1 else None

    def _global(self, module: Module, name: str) -> Value | None:
        if name in module.scope.bindings:
            return self._bound(module.scope, module.scope.bindings[name], name)
        return self._project.find(f"{module.name}.{name}", module) if module.is_package else None

    def _attribute(self, value: Value | None, name: str) -> Value | None:
        match value:
            case Named(path):
                return Named(canonical(f"{path}.{name}"))
            case Module():
                return self._global(value, name)
            case Class():
                return self.member(value, name)
            case Instance(of=str(path)):
                attribute = f"{path}.{name}"
                return Instance(ATTRIBUTES[attribute]) if attribute in ATTRIBUTES else Named(attribute)
            case Instance(of=Class() as class_):
                if name == "__class__":
                    return class_
                member = self.member(class_, name)
                if isinstance(member, Function) and "builtins.property" in self.decorators(member):
                    return self.annotated(member.node.returns, member.parent)
                return member
            case _:
                return None

    def _call(self, call: ast.Call, scope: Scope) -> Value | None:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "with_options":
            return self.of(call.func.value, scope)
        match self.of(call.func, scope):
            case Named(path):
                return self._called(path, call, scope)
            case Class() as class_:
                return Instance(class_)
            case Function() as function if not self.is_opaque(function):
                returned = self.annotated(function.node.returns, function.parent)
                if function.is_coroutine:
                    return Instance(COROUTINE, returned)
                return returned
            case None if isinstance(call.func, ast.Attribute) and call.func.attr == "create_task":
                return Instance(TASK)  # whoever's loop or group it is
            case _:
                return None

    def _called(self, path: str, call: ast.Call, scope: Scope) -> Value | None:
        first = self.of(call.args[0], scope) if call.args else None
        if path == "builtins.type" and isinstance(first, Instance) and isinstance(first.of, Class):
            return first.of
        if path in ("builtins.sorted", "builtins.reversed", "builtins.tuple"):
            return Instance("builtins.list", first.item if isinstance(first, Instance) else None)
        if path in ("dataclasses.field", "attrs.field", "msgspec.field", "pydantic.Field"):
            return None
        of = class_of_call(path)
        if of is None:
            return None
        if of in (SET, "builtins.list", "builtins.dict"):
            receiver = self.of(call.func.value, scope) if isinstance(call.func, ast.Attribute) else None
            holder = first if isinstance(first, Instance) else receiver
            return Instance(of, holder.item if isinstance(holder, Instance) else None)
        if of == "builtins.dict_keys" and isinstance(call.func, ast.Attribute):
            receiver = self.of(call.func.value, scope)
            return Instance(of, receiver.item if isinstance(receiver, Instance) and path.endswith("keys") else None)
        return Instance(of)

    def _annotated_generic(self, generic: ast.expr, index: ast.expr, scope: Scope) -> Instance | None:
        path = self.path(generic, scope)
        first = index.elts[0] if isinstance(index, ast.Tuple) and index.elts else index
        if path in ("typing.Optional", "typing.Annotated", "typing.Final", "typing.ClassVar", "typing.Required"):
            return self.annotated(first, scope)
        if path is None:
            return None
        of = container(path)
        holds = of in (SET, "builtins.list", "builtins.dict", "builtins.tuple")
        return Instance(
            "builtins.list" if of == "builtins.tuple" else of, self.annotated(first, scope) if holds else None
        )


def _only(values: Iterable[Value | None]) -> Value | None:
    """The one thing that all of them are."""
    distinct = list(dict.fromkeys(values))
    return distinct[0] if len(distinct) == 1 else _same_class(distinct)


def _filled(container: Value | None, items: list[Value | None]) -> Value | None:
    """A container of which nothing is known but what is put into it."""
    is_open = isinstance(container, Instance) and container.item is None and container.of in (SET, "builtins.list")
    return Instance(container.of, _only(items)) if is_open and isinstance(container, Instance) else container


def _same_class(values: list[Value | None]) -> Value | None:
    """Sets of something and empty sets are sets of something."""
    instances = [each for each in values if isinstance(each, Instance)]
    if not values or len(instances) < len(values) or len({each.of for each in instances}) > 1:
        return None
    items = {each.item for each in instances if each.item is not None}
    return Instance(instances[0].of, items.pop() if len(items) == 1 else None)


def _only_instance(values: list[Instance | None]) -> Instance | None:
    found = _only(values)
    return found if isinstance(found, Instance) else None


def _parsed(text: str) -> ast.expr | None:
    """An annotation that stands there as a string."""
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _declared_first(fields: list[tuple[Scope, ast.expr, bool]]) -> list[tuple[Scope, ast.expr, bool]]:
    return [each for each in fields if each[2]] or fields


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
