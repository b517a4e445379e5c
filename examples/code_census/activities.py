"""What touches the world: finding files, reading and parsing them."""

from __future__ import annotations

import ast
import os
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from examples.code_census.model import Counts, Package
from perdure import PermanentError, RetryPolicy, activity, activity_context

LOOSE_MODULES = "(modules)"
SKIPPED = frozenset({"__pycache__", "site-packages", "node_modules"})

_one_parser = threading.Lock()


class DoesNotParse(PermanentError):
    """The file isn't Python of this version. Trying again won't help, so it isn't tried again."""


class Hiccup(OSError):
    """The injected fault: it passes when the file is tried again."""


@activity
def find_packages(folder: Path) -> list[Package]:
    """The Python files of a source tree by top-level folder, in order; those in none are a package of their own."""
    packages: dict[str, list[str]] = defaultdict(list)
    for path in _python_files(folder):
        top = path.parts[0] if len(path.parts) > 1 else LOOSE_MODULES
        packages[top].append(path.as_posix())
    return [Package(name, sorted(packages[name])) for name in sorted(packages)]


def _python_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith(".")]
        yield from (Path(place, name).relative_to(folder) for name in files if name.endswith(".py"))


class FileCounter:
    """Counts files; an object, because its activity needs a setting of the process that runs it."""

    def __init__(self, execution_log: Path | None = None) -> None:
        """`execution_log` gets a line `pid attempt file` for every execution, so that a test can count them."""
        self._execution_log = execution_log

    @activity(
        timeout=timedelta(minutes=1),
        retry=RetryPolicy(max_attempts=5, initial_interval=timedelta(milliseconds=20), jitter=0),
    )
    def count_file(self, folder: Path, file: str) -> Counts:
        """Parse one file. It may run twice for one file, if a crash comes between its end and the commit of its result."""
        attempt = activity_context().attempt
        self._log_execution(file, attempt)
        stumble(file, attempt)
        return count(parse((folder / file).read_bytes()), retries=attempt - 1)

    def _log_execution(self, file: str, attempt: int) -> None:
        if self._execution_log is not None:
            with self._execution_log.open("a", encoding="utf-8") as log:
                log.write(f"{os.getpid()} {attempt} {file}\n")


def stumble(file: str, attempt: int) -> None:
    """Fail for one file in eight at its first attempt, for some at the second too; the same ones in every run."""
    dice = zlib.crc32(file.encode())
    failures = 1 + dice // 8 % 2 if dice % 8 == 0 else 0
    if attempt <= failures:
        raise Hiccup(f"{file}: attempt {attempt} was to fail")


def parse(source: bytes) -> tuple[ast.Module, int]:
    """The syntax tree and the number of lines. Raises DoesNotParse."""
    try:
        return _syntax_tree(source), len(source.splitlines())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise DoesNotParse(_reason(problem)) from problem


def _syntax_tree(source: bytes) -> ast.Module:
    """ast.parse. It can't run in two threads at once: CPython 3.11 raises a SystemError then, now and again.

    The lock keeps our own threads apart; the second try is for others, such as one that formats a traceback.
    """
    with _one_parser:
        for _ in range(100):
            with suppress(SystemError):
                return ast.parse(source)
        return ast.parse(source)


def _reason(problem: Exception) -> str:
    if isinstance(problem, SyntaxError) and problem.lineno:
        return f"line {problem.lineno}: {problem.msg}"
    return str(problem) or type(problem).__name__


def count(parsed: tuple[ast.Module, int], *, retries: int = 0) -> Counts:
    tree, lines = parsed
    nodes = [type(node) for node in ast.walk(tree)]
    return Counts(
        files=1,
        lines=lines,
        functions=nodes.count(ast.FunctionDef) + nodes.count(ast.AsyncFunctionDef),
        classes=nodes.count(ast.ClassDef),
        imports=nodes.count(ast.Import) + nodes.count(ast.ImportFrom),
        retries=retries,
    )
