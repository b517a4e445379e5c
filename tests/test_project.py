"""What the project promises about itself: its shape, its public names, its weight."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import perdure

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PUBLIC_NAMES = ROOT / "tests" / "public_names.txt"

PUBLIC: list[str] = getattr(perdure, "__all__", [])

MAX_FILE_LINES = 400
LONG_FILES: dict[str, str] = {"src/perdure/__init__.py": "a list of the public names"}

MAX_FUNCTION_LINES = 60
LONG_FUNCTIONS: dict[str, str] = {}  # "src/perdure/…:function": why it stays in one piece

HEAVY_MODULES = (
    "sqlite3", "rich", "cryptography", "pydantic", "click", "multiprocessing", "concurrent.futures.process",
    "asyncpg", "asyncmy", "redis", "hiredis", "uvloop", "opentelemetry",
)  # fmt: skip

REGISTRY_HOSTS = [
    ".".join(words)
    for words in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("crates", "io"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy", "golang", "org"),
        ("repo1", "maven", "org"),
        ("repo", "maven", "apache", "org"),
        ("deb", "debian", "org"),
        ("ftp", "debian", "org"),
        ("security", "debian", "org"),
    )
]


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_source_file_is_one_idea_and_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    is_exception = relative(path) in LONG_FILES

    assert is_exception or lines <= MAX_FILE_LINES, f"{lines} lines: split it, or give a reason in LONG_FILES"
    assert not is_exception or lines > MAX_FILE_LINES, "no longer long: take it out of LONG_FILES"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_function_fits_a_screen(path: Path) -> None:
    long = {
        f"{relative(path)}:{node.name}": function_lines(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > MAX_FUNCTION_LINES
    }

    assert set(long) == {name for name in LONG_FUNCTIONS if name.startswith(f"{relative(path)}:")}, long


def function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its decorators and its docstring."""
    end = function.end_lineno or function.lineno
    first = function.body[0]
    is_docstring = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if is_docstring else 0
    return end - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_import_from_the_module_that_owns_the_thing_not_from_the_package(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module != "perdure", f"line {node.lineno}: import from the module that owns it"
            assert node.level == 0, f"line {node.lineno}: say it in full"


def test_the_public_names_are_those_of_the_snapshot() -> None:
    """A name comes or goes on purpose: then it is changed in tests/public_names.txt and told in CHANGELOG.md."""
    assert sorted(PUBLIC) == PUBLIC_NAMES.read_text().split()


def test_public_names_are_listed_once() -> None:
    assert len(PUBLIC) == len(set(PUBLIC))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there_and_no_module(name: str) -> None:
    assert not isinstance(getattr(perdure, name), ModuleType)


def test_no_submodule_takes_a_public_names_place() -> None:
    submodules = {module.name for module in pkgutil.iter_modules(perdure.__path__)}

    assert submodules.isdisjoint(PUBLIC)


def test_a_public_name_stays_itself_when_all_submodules_are_loaded() -> None:
    before = {name: getattr(perdure, name) for name in PUBLIC}

    for module in pkgutil.iter_modules(perdure.__path__, "perdure."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    assert {name: getattr(perdure, name) for name in PUBLIC} == before


def test_import_perdure_loads_nothing_heavy() -> None:
    program = "import perdure, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert set(HEAVY_MODULES).isdisjoint(loaded)


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "src" / "perdure" / "py.typed").is_file()


def test_there_are_at_most_four_dependencies() -> None:
    assert len(project()["dependencies"]) <= 4


def test_each_dependency_is_justified_on_its_line() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for requirement in project()["dependencies"]:
        [line] = [line for line in lines if line.strip().startswith(f'"{requirement}"')]
        assert re.search(r"# \w.{20,}", line), f"say why {requirement} is needed"


def test_the_changelog_has_this_version() -> None:
    assert f"## [{project()['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_docs_are_tested() -> None:
    assert (ROOT / "tests" / "docs" / "test_code_blocks.py").is_file()


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is each machine's own setting; a name here would go around a mirror."""
    for path in repository_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        assert not [host for host in REGISTRY_HOSTS if host in text], relative(path)


def repository_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git repository")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
