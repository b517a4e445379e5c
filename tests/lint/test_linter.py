"""What the linter does besides its rules: following, excusing, other Pythons, files that don't parse, our own code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import pytest

from perdure.lint.findings import Finding
from perdure.lint.linter import lint
from tests.docs.test_code_blocks import BLOCKS, PAGES, ROOT, as_program
from tests.lint.conftest import Write

FLOW = """\
from perdure import Context, workflow
from helpers import stamp


@workflow
async def order(ctx: Context) -> float:
    return stamp()
"""
HELPERS = """\
import time


def stamp() -> float:
    return time.time()
"""
WAITS = """\
import asyncio
from perdure import Context, workflow


@workflow
async def order(ctx: Context) -> None:
    await asyncio.wait_for(ctx.sleep(1), 2)
"""


def told(findings: list[Finding]) -> list[tuple[str, int, str]]:
    return [(finding.path.name, finding.line, finding.code) for finding in findings]


def test_a_helper_is_followed_into_a_file_that_was_not_named(write: Write) -> None:
    folder = write(flow=FLOW, helpers=HELPERS)

    [finding] = lint([folder / "flow.py"])

    assert (finding.path, finding.line, finding.code) == (folder / "helpers.py", 5, "PRD101")
    assert [(step.path.name, step.line, step.function) for step in finding.calls] == [("flow.py", 7, "order")]


def test_a_helper_that_two_workflows_call_is_told_once(write: Write) -> None:
    folder = write(flow=FLOW, other=FLOW, helpers=HELPERS)

    assert told(lint([folder])) == [("helpers.py", 5, "PRD101")]


def test_a_module_below_src_and_a_namespace_package_are_found(write: Write) -> None:
    folder = write(flow=FLOW.replace("from helpers", "from parts.clocks"))
    (folder / "src" / "parts").mkdir(parents=True)
    (folder / "src" / "parts" / "clocks.py").write_text(HELPERS)

    assert told(lint([folder / "flow.py"])) == [("clocks.py", 5, "PRD101")]


def test_an_excuse_in_the_helper_counts(write: Write) -> None:
    folder = write(flow=FLOW, helpers=HELPERS.replace("time.time()", "time.time()  # noqa: PRD101 - a cache's age"))

    assert lint([folder]) == []


def test_modules_that_import_each_other_come_to_an_end(write: Write) -> None:
    folder = write(
        flow=FLOW, helpers="from other import stamp\n", other="from helpers import stamp, again\nagain = again\n"
    )

    assert lint([folder]) == []


def test_functions_that_call_each_other_come_to_an_end(write: Write) -> None:
    helpers = "import time\n\ndef stamp():\n    return again()\n\ndef again():\n    return stamp() or time.time()\n"

    assert told(lint([write(flow=FLOW, helpers=helpers)])) == [("helpers.py", 7, "PRD101")]


@pytest.mark.parametrize(
    ("python", "codes"), [(">=3.11", ["PRD203"]), (">=3.12", []), (">3.12,<4", []), ("", ["PRD203"])]
)
def test_what_only_an_older_python_does_is_found_where_the_project_allows_that_one(
    write: Write, python: str, codes: list[str]
) -> None:
    folder = write(pyproject=f'[project]\nrequires-python = "{python}"\n', flow=WAITS)

    assert [finding.code for finding in lint([folder])] == codes


def test_a_file_that_does_not_parse_is_told(write: Write) -> None:
    folder = write(flow="from perdure import workflow\n\nasync def f(:\n    pass\n")

    assert told(lint([folder])) == [("flow.py", 3, "PRD001")]


@pytest.mark.parametrize(
    "source", [b"# perdure\x00", b"# coding: nonsense\n# perdure", b"# perdure \xff", b"# perdure\n" + b"(" * 100_000]
)
def test_whatever_a_file_holds_nothing_is_raised(write: Write, source: bytes) -> None:
    folder = write()
    (folder / "flow.py").write_bytes(source)

    assert [finding.code for finding in lint([folder])] == ["PRD001"]


def test_every_async_function_can_be_taken_for_a_workflow(write: Write) -> None:
    folder = write(flow="import time\n\nasync def f():\n    time.sleep(1)\n")

    assert lint([folder]) == []
    assert told(lint([folder], every_async=True)) == [("flow.py", 4, "PRD110")]


def test_code_that_is_not_ours_is_read_to_its_end() -> None:
    """`python -m tests.lint.draw` takes all that is installed."""
    found = lint([Path(asyncio.__file__).parent, Path(click.__file__).parent], every_async=True)

    assert {"PRD106", "PRD107"} <= {finding.code for finding in found}


def test_virtual_environments_are_left_out(write: Write) -> None:
    folder = write(helpers=HELPERS)
    for name in ("env", ".hidden"):
        (folder / name).mkdir()
        (folder / name / "flow.py").write_text(FLOW)
    (folder / "env" / "pyvenv.cfg").touch()

    assert lint([folder]) == []


def test_our_own_examples_are_clean_without_an_excuse() -> None:
    assert told(lint([ROOT / "examples"])) == []
    assert not any("noqa: PRD" in path.read_text() for path in (ROOT / "examples").rglob("*.py"))


SHOWN_ON_PURPOSE = {
    "determinism": ["PRD102", "PRD109"],  # for the guard, and for the loop, which says what it thinks of threads
    "linting": ["PRD101", "PRD201", "PRD501"],
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_in_the_code_of_our_documentation_is_found_what_it_shows_on_purpose(page: Path, tmp_path: Path) -> None:
    program = tmp_path / f"{page.stem.replace('-', '_')}.py"
    program.write_text(as_program([block for block in BLOCKS if block.page == page]))

    assert sorted(finding.code for finding in lint([program])) == SHOWN_ON_PURPOSE.get(page.stem, [])
