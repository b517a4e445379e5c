"""The code in README.md and docs/ runs.

The ```python blocks of a page are run in order in one namespace, in a process and an empty folder of their own, with warnings as
errors. A block may await at its top level. A block that starts with the comment `# not run: <reason>` is only compiled. Other
blocks (```console, ```toml …) are left alone.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]

FENCE = re.compile(r"^(?P<indent> *)```python\b[^\n]*\n(?P<code>.*?)^(?P=indent)```\s*$", re.DOTALL | re.MULTILINE)
NOT_RUN = re.compile(r"# not run: \S")
TIMEOUT_SECONDS = 60

RUNNER = """
import ast, asyncio, inspect, sys
page = sys.argv[1]
with open(page, encoding="utf-8") as file:
    code = compile(file.read(), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
__file__ = page
result = eval(code, globals())
if inspect.iscoroutine(result):
    asyncio.run(result)
"""


@dataclass(frozen=True, kw_only=True)
class Block:
    page: Path
    line: int
    code: str

    @property
    def is_run(self) -> bool:
        return NOT_RUN.match(self.code) is None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page=page, line=text.count("\n", 0, match.start("code")) + 1, code=textwrap.dedent(match["code"]))
        for match in FENCE.finditer(text)
    ]


def as_program(blocks: list[Block]) -> str:
    """The blocks as one program in which each line keeps the number that it has on the page."""
    program = ""
    for block in blocks:
        program += "\n" * (block.line - 1 - program.count("\n")) + block.code
    return program


def run_page(blocks: list[Block], folder: Path) -> subprocess.CompletedProcess[str]:
    program = folder / f"page_{blocks[0].page.stem}.py"  # not a name that the standard library has
    program.write_text(as_program(blocks))
    command = [sys.executable, "-W", "error", "-X", "utf8", "-c", RUNNER, str(program)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.mark.parametrize(
    "page", sorted({block.page for block in BLOCKS if block.is_run}), ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    done = run_page([block for block in BLOCKS if block.page == page and block.is_run], tmp_path)

    assert done.returncode == 0, f"{page.relative_to(ROOT)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.is_run], ids=str)
def test_code_that_is_not_run_compiles(block: Block) -> None:
    compile(block.code, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


def test_blocks_share_names_await_and_report_the_line_on_the_page(tmp_path: Path) -> None:
    page = ROOT / "page.md"
    page_text = "# T\n\n```python\nimport asyncio\nx = 1\n```\n\n- item\n\n  ```python\n  await asyncio.sleep(0)\n  assert x == 2\n  ```\n"
    (tmp_path / "page.md").write_text(page_text)
    blocks = [Block(page=page, line=block.line, code=block.code) for block in blocks_of(tmp_path / "page.md")]

    done = run_page(blocks, tmp_path)

    assert done.returncode == 1
    assert 'page.py", line 12' in done.stderr


def test_a_block_with_a_reason_is_not_run_and_one_without_is() -> None:
    page = ROOT / "page.md"

    assert not Block(page=page, line=1, code="# not run: needs a server\nboom()").is_run
    assert Block(page=page, line=1, code="# not run:\nboom()").is_run
