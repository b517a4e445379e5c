"""From dotted names to source files: which modules belong to the project, and where they are."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import tokenize
import tomllib
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from perdure.lint.values import Module

OLDEST_PYTHON = (3, 11)
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OSError)

_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg")
_LIBRARIES = ("site-packages", "dist-packages")
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "build", "dist"})


class Project:
    """The source files of a project, read when they are needed, and kept."""

    def __init__(self) -> None:
        self._modules: dict[Path, Module | None] = {}
        self._roots: dict[Path, tuple[Path, ...]] = {}
        self._roots_of_module: dict[Module, tuple[Path, ...]] = {}
        self._oldest_pythons: dict[Path, tuple[int, int]] = {}
        self._found: dict[tuple[tuple[Path, ...], str], Path | None] = {}

    def load(self, path: Path, source: str | None = None) -> Module:
        """The module in a file. Raises one of UNREADABLE if it can't be read or parsed."""
        path = path.absolute()
        found = self._modules.get(path)
        if found is None:
            found = self._modules[path] = parse(path, source)
        return found

    def find(self, name: str, asking: Module) -> Module | None:
        """A module of the project, by the absolute name by which another one of its modules calls it."""
        top = name.partition(".")[0]
        is_own = top == asking.name.partition(".")[0]
        if top == "perdure" or (top in sys.stdlib_module_names and not is_own):
            return None
        roots = self._roots_of(asking)
        if not is_own and (_is_library(roots[0])):
            return None
        path = self._path(roots, name)
        if path is None:
            return None
        if path not in self._modules:
            try:
                self._modules[path] = parse(path)
            except UNREADABLE:
                self._modules[path] = None
        return self._modules[path]

    def oldest_python(self, module: Module) -> tuple[int, int]:
        """The oldest Python that the project's pyproject.toml allows."""
        folder = self._roots_of(module)[-1]
        if folder not in self._oldest_pythons:
            self._oldest_pythons[folder] = _required(folder)
        return self._oldest_pythons[folder]

    def _roots_of(self, module: Module) -> tuple[Path, ...]:
        """Where absolute names begin: the folder above the module's package, and those above it up to the project's, the last."""
        roots = self._roots_of_module.get(module)
        if roots is None:
            first = module.path.parents[module.name.count(".") + module.is_package]
            if first not in self._roots:
                self._roots[first] = tuple(_folders_up(first))
            roots = self._roots_of_module[module] = self._roots[first]
        return roots

    def _path(self, roots: tuple[Path, ...], name: str) -> Path | None:
        key = (roots, name)
        if key not in self._found:
            self._found[key] = next(_candidates(roots, name), None)
        return self._found[key]


def read(path: Path) -> str:
    """The text of a source file, in the encoding that it names."""
    source = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(BytesIO(source).readline)
    return source.decode(encoding)


def parse(path: Path, source: str | None = None) -> Module:
    """The module in a file, whose text may have been read already."""
    text = read(path) if source is None else source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a \d in somebody's string
        tree = ast.parse(text, str(path))
    packages: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").exists():
        packages.insert(0, folder.name)
        folder = folder.parent
    is_package = path.name == "__init__.py" and bool(packages)
    name = ".".join(packages if is_package else [*packages, path.stem])
    return Module(name=name, path=path, is_package=is_package, tree=tree, lines=text.splitlines())


def sources(paths: list[Path]) -> Iterator[Path]:
    """All Python files in these files and folders, each once; not those of virtual environments and hidden folders."""
    seen: set[Path] = set()
    for path in paths:
        for found in [path] if path.is_file() else _sources_below(path):
            if found not in seen:
                seen.add(found)
                yield found


def _sources_below(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix == ".py" and entry.is_file():
            yield entry
        elif entry.is_dir() and not _is_left_out(entry):
            yield from _sources_below(entry)


def _is_left_out(folder: Path) -> bool:
    is_hidden = folder.name.startswith(".") or folder.name in _LEFT_OUT
    return is_hidden or folder.is_symlink() or (folder / "pyvenv.cfg").exists()


def _folders_up(first: Path) -> Iterator[Path]:
    yield first
    if _is_library(first) or not any(_is_project(folder) for folder in (first, *first.parents)):
        return
    folder = first
    while not _is_project(folder):
        folder = folder.parent
        yield folder


def _candidates(roots: tuple[Path, ...], name: str) -> Iterator[Path]:
    parts = name.split(".")
    for root in (*roots, roots[-1] / "src"):
        target = root.joinpath(*parts)
        yield from (path for path in (target / "__init__.py", target.with_name(f"{parts[-1]}.py")) if path.is_file())


def _is_project(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _MARKS)


def _is_library(folder: Path) -> bool:
    return folder.name in _LIBRARIES or folder in _STANDARD_LIBRARY


_STANDARD_LIBRARY = {Path(sysconfig.get_path(name)).absolute() for name in ("stdlib", "platstdlib")}


def _required(folder: Path) -> tuple[int, int]:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, ValueError):
        return OLDEST_PYTHON
    oldest = re.search(r">=?\s*(\d+)\.(\d+)", str(project.get("requires-python", "")))
    return max(OLDEST_PYTHON, (int(oldest[1]), int(oldest[2]))) if oldest else OLDEST_PYTHON
