"""What is released: complete, well-formed, and enough by itself in an environment that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.release.conftest import MakeOnce
from tests.test_project import relative, repository_files

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "perdure"
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

PROGRAM = """
import asyncio

from perdure import App, Context, Orchestrator, activity, workflow


@activity
async def double(number: int) -> int:
    return 2 * number


@workflow
async def four_times(ctx: Context, number: int) -> int:
    return await ctx.execute_activity(double, await ctx.execute_activity(double, number))


async def main() -> None:
    async with Orchestrator("sqlite:///numbers.db", App(workflows=[four_times], activities=[double])) as perdure:
        result: int = await perdure.run(four_times.with_options(instance_id="first"), 10)
        print(result)


asyncio.run(main())
"""


def run(*command: object, folder: Path = ROOT) -> str:
    """What the command prints. It sees neither this checkout nor this environment's settings of Python and mypy."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYPY"))}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def distributions(make_once: MakeOnce) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    return make_once(
        "dist", lambda folder: print(run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT))
    )


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    return distributions / f"perdure-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="session")
def programs(make_once: MakeOnce, wheel: Path) -> Path:
    """Where the programs of an environment are in which the wheel was installed, with nothing but what it asks for."""

    def make(folder: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", wheel)

    return make_once("environment", make) / "bin"


def test_an_index_would_take_both(distributions: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *distributions.iterdir())


def test_the_wheel_has_all_files_of_the_package_and_nothing_else(wheel: Path) -> None:
    run(Path(sys.executable).parent / "check-wheel-contents", "--no-config", "--package", PACKAGE, wheel)


def test_the_source_distribution_has_all_that_the_tests_read(distributions: Path) -> None:
    with tarfile.open(distributions / f"perdure-{VERSION}.tar.gz") as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    kept = {relative(path) for path in repository_files() if path.parent.name != ".ci"}

    assert packed - {"PKG-INFO"} == kept


def test_the_installed_program_says_the_version_of_pyproject(programs: Path, tmp_path: Path) -> None:
    assert run(programs / "perdure", "--version", folder=tmp_path) == f"perdure {VERSION}\n"


def test_a_workflow_runs_and_is_seen_on_the_command_line(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    assert run(programs / "python", "-W", "error", "program.py", folder=tmp_path) == "40\n"
    assert "completed" in run(programs / "perdure", "list", "--store", "sqlite:///numbers.db", folder=tmp_path)


def test_type_checkers_find_the_types_of_the_installed_package(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.replace("result: int", "result: str"))

    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--python-executable",
        programs / "python",
        "program.py",
    ]
    with pytest.raises(AssertionError, match=r'has incompatible type "Workflow\[\[int\], int\]"'):
        run(*command, folder=tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    run(*command, folder=tmp_path)
