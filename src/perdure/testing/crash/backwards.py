"""Another order of sets, for certain: in a process of its own the user's modules are compiled to go through sets backwards.

By PYTHONHASHSEED alone it is chance: two names have the same order in every other process. So two processes get one seed, and one of
them goes backwards: each set has another order in one of the two than it had in the process that the history comes from.
Only sets whose order is chance go backwards: those of numbers and of tasks have one order everywhere.
"""

from __future__ import annotations

import ast
import builtins
import sys
import sysconfig
from collections.abc import Sequence
from datetime import date, datetime, time
from enum import Enum
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path, PurePath
from types import CodeType, ModuleType
from typing import Any

_ORDER, _POP = "__perdure_backwards__", "__perdure_popped__"
_TAKES_ALL = frozenset(
    {"accumulate", "chain", "combinations", "deque", "dict", "enumerate", "extend", "filter", "from_iterable", "fromkeys"}
    | {"islice", "iter", "join", "list", "map", "max", "min", "permutations", "product", "reduce", "sorted", "sum", "tuple", "zip"}
)  # fmt: skip
"""Functions and methods that go through what they get."""
_BY_CHANCE = frozenset(kind.__hash__ for kind in (object, str, bytes, Enum, PurePath, date, datetime, time))
_OURS = str(Path(__file__).parents[2])
_INSTALLED = (_OURS, *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")))


def go_backwards(home: str) -> None:
    """From here on, in modules that are imported: what isn't installed, and what belongs to the package `home`."""
    setattr(builtins, _ORDER, _backwards)
    setattr(builtins, _POP, _popped)
    sys.meta_path.insert(0, _Finder(home))


class BackwardsLoader(SourceFileLoader):
    """Of a module that goes backwards. Nothing of it comes from the cache of compiled modules, or goes there."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = _Rewriter().visit(ast.parse(self.get_data(path), path))
        return self.source_to_code(ast.fix_missing_locations(tree), path)


class _Finder(MetaPathFinder):
    def __init__(self, home: str) -> None:
        self._home = home

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        others = (finder for finder in sys.meta_path if finder is not self)
        found = next((spec for finder in others if (spec := finder.find_spec(fullname, path, target))), None)
        if found is not None and type(found.loader) is SourceFileLoader:
            is_home = fullname.partition(".")[0] == self._home
            if is_home or not found.loader.path.startswith(_INSTALLED):
                found.loader = BackwardsLoader(found.loader.name, found.loader.path)
        return found


class _Rewriter(ast.NodeTransformer):
    """Puts a call around what is gone through."""

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        node.iter = _around(node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        node.iter = node.iter if node.is_async else _around(node.iter)
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.Starred:
        self.generic_visit(node)
        node.value = _around(node.value) if isinstance(node.ctx, ast.Load) else node.value
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.YieldFrom:
        self.generic_visit(node)
        node.value = _around(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            node.value = _around(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        called = node.func
        name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
        if name in _TAKES_ALL:
            node.args = [each if isinstance(each, ast.Starred) else _around(each) for each in node.args]
        elif name == "pop" and isinstance(called, ast.Attribute) and not (node.args or node.keywords):
            return _around(called.value, _POP)
        return node


def _around(node: ast.expr, function: str = _ORDER) -> ast.Call:
    return ast.copy_location(ast.Call(ast.Name(function, ast.Load()), [node], []), node)


def _backwards(value: Any) -> Any:
    return list(value)[::-1] if _is_by_chance(value) else value


def _popped(value: Any) -> Any:
    if type(value) is not set or not _is_by_chance(value):
        return value.pop()
    *_, last = value
    value.remove(last)
    return last


def _is_by_chance(value: object) -> bool:
    return type(value) in (set, frozenset) and any(_has_hash_by_chance(each) for each in value)  # type: ignore[attr-defined]


def _has_hash_by_chance(value: object) -> bool:
    if isinstance(value, tuple | frozenset):
        return any(map(_has_hash_by_chance, value))
    return type(value).__hash__ in _BY_CHANCE
