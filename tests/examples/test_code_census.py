"""The census ends with the same report however often it is killed, and repeats no more than what a kill hit."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from examples.code_census.__main__ import PARSERS, census_app, derived_instance_id
from examples.code_census.activities import DoesNotParse, Hiccup, count, find_packages, parse, stumble
from examples.code_census.model import Census, Counts, PackageCensus, Progress
from examples.code_census.progress import Lines, show
from examples.code_census.report import report
from examples.code_census.workflows import FILES_AT_ONCE, PACKAGES_AT_ONCE, census, paused
from perdure import Client, Handle, Orchestrator, State

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 20.0  # a worker's, unless it is told otherwise

MODULE = """
import os, sys
from math import pi


class Thing:
    def method(self, value):
        return [value * pi for _ in range(3)]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """300 files in ten packages and loose; three of them don't parse."""
    folder = tmp_path / "tree"
    for number in range(300):
        package = folder if number < 20 else folder / f"package_{number % 10}" / "sub"
        package.mkdir(parents=True, exist_ok=True)
        functions = "".join(
            f"\ndef function_{each}(a, b):\n    return a + b * {each}\n" for each in range(30 + number % 7)
        )
        broken = "def broken(:\n" if number in (5, 105, 205) else ""
        (package / f"module_{number:03}.py").write_text(MODULE + functions + broken)
    return folder


@dataclass
class Executions:
    """The log of executions: `pid attempt file` in each line."""

    log: Path

    def lines(self) -> list[tuple[int, int, str]]:
        if not self.log.exists():
            return []
        split = (line.split(" ", 2) for line in self.log.read_text().splitlines())
        return [(int(pid), int(attempt), file) for pid, attempt, file in split]

    def files(self) -> int:
        return len({file for _, _, file in self.lines()})

    def of(self, pid: int) -> int:
        return sum(pid == other for other, _, _ in self.lines())

    def processes(self) -> dict[tuple[str, int], list[int]]:
        """Who executed each attempt at each file."""
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for pid, attempt, file in self.lines():
            found[file, attempt].append(pid)
        return found


@dataclass
class Site:
    """A folder to count, and where the census of it is kept."""

    folder: Path
    place: Path
    restarts: list[float] = field(default_factory=list)
    """Seconds from the start of a process to its first execution."""

    def __post_init__(self) -> None:
        self.place.mkdir(exist_ok=True)
        self.executions = Executions(self.place / "executions.log")

    @property
    def store(self) -> str:
        return f"sqlite:///{self.place / 'census.db'}"

    def command(self, *words: str) -> list[str]:
        program = [sys.executable, "-m", "examples.code_census", *words, str(self.folder), "--store", self.store]
        return [*program, "--json", "--count-executions", str(self.executions.log)]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(),
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run_to_the_end(self) -> Any:
        with self.start() as process:
            stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        return json.loads(stdout)

    def run_until(self, files: int, end: signal.Signals) -> int:
        """Start it, and send a signal when so many files have been executed at least once; the exit code."""
        began = time.monotonic()
        with self.start() as process:
            for _ in polling(process):
                if self.executions.of(process.pid):
                    self.restarts.append(time.monotonic() - began)
                    break
            for _ in polling(process):
                if self.executions.files() >= files:
                    process.send_signal(end)
                    break
            process.communicate(timeout=60)
        return process.returncode


def polling(process: subprocess.Popen[str]) -> Iterator[None]:
    for _ in range(12_000):
        assert process.poll() is None, f"it ended too early: {process.communicate()}"
        yield
        time.sleep(0.005)
    raise TimeoutError


def check_crashes(site: Site, kill_at: list[int], undisturbed: Any) -> None:
    for files in kill_at:
        assert site.run_until(files, signal.SIGKILL) == -signal.SIGKILL

    assert differences(undisturbed, site.run_to_the_end()) == []
    check_executions(site.executions, kills=len(kill_at))
    assert asyncio.run(states(site.store)) == {State.COMPLETED: 1 + len(undisturbed["packages"])}
    print(f"restarts went on within {max(site.restarts):.2f} s, half of them within {median(site.restarts):.2f} s")
    assert median(site.restarts[1:]) < LEASE_SECONDS / 2  # who is dead is known at once, by his lock


def differences(one: Any, other: Any) -> list[tuple[Any, Any]]:
    pairs = zip_longest(one["packages"], other["packages"])
    return [(mine, theirs) for mine, theirs in pairs if mine != theirs]


def check_executions(executions: Executions, kills: int) -> None:
    repeated = {attempt: pids for attempt, pids in executions.processes().items() if len(pids) > 1}
    hit_by_kill = Counter(pid for pids in repeated.values() for pid in pids[:-1])
    print(f"{kills} kills; executions repeated per kill: {sorted(hit_by_kill.values(), reverse=True)}")
    for attempt, pids in repeated.items():
        assert len(set(pids)) == len(pids), f"{attempt} ran twice in one process, so without a kill between"
    assert len(hit_by_kill) <= kills
    under_way = PACKAGES_AT_ONCE * FILES_AT_ONCE  # until the result of one is committed, no other is scheduled
    assert max(hit_by_kill.values(), default=0) <= under_way


async def published_pause(handle: Handle[Census]) -> Progress:
    for _ in range(10_000):
        progress = await handle.read("progress", Progress, None)
        if progress is not None and progress.is_paused:
            return progress
        await asyncio.sleep(0.001)
    raise TimeoutError


async def states(store: str) -> dict[State, int]:
    async with Client(store) as client:
        return await client.count()


def test_an_undisturbed_census_executes_each_attempt_once(tree: Path, tmp_path: Path) -> None:
    site = Site(tree, tmp_path / "calm")

    counted = site.run_to_the_end()

    assert sum(package["counts"]["files"] for package in counted["packages"]) == 297
    assert [package["name"] for package in counted["packages"]][:2] == ["(modules)", "package_0"]
    assert sum(len(package["unreadable"]) for package in counted["packages"]) == 3
    assert all(len(pids) == 1 for pids in site.executions.processes().values())
    retries = sum(package["counts"]["retries"] for package in counted["packages"])
    assert len(site.executions.lines()) >= 300 + retries > 300


def test_killed_at_any_moment_it_goes_on_and_the_report_is_the_same(tree: Path, tmp_path: Path) -> None:
    undisturbed = Site(tree, tmp_path / "calm").run_to_the_end()

    check_crashes(Site(tree, tmp_path / "killed"), [1, 30, 90, 150, 210, 270, 299], undisturbed)


def test_ctrl_c_ends_it_in_good_order_and_nothing_is_executed_twice(tree: Path, tmp_path: Path) -> None:
    undisturbed = Site(tree, tmp_path / "calm").run_to_the_end()
    site = Site(tree, tmp_path / "interrupted")

    assert site.run_until(100, signal.SIGINT) == 130

    assert differences(undisturbed, site.run_to_the_end()) == []
    assert all(len(pids) == 1 for pids in site.executions.processes().values())


def test_started_again_after_its_end_it_gives_the_same_report_and_executes_nothing(tree: Path, tmp_path: Path) -> None:
    site = Site(tree, tmp_path / "calm")
    first = site.run_to_the_end()
    executed = site.executions.lines()

    assert site.run_to_the_end() == first
    assert site.executions.lines() == executed


@pytest.mark.soak
def test_the_standard_library_killed_after_each_further_3_percent(tmp_path: Path) -> None:
    folder = Path(sysconfig.get_path("stdlib"))
    undisturbed = Site(folder, tmp_path / "calm").run_to_the_end()
    files = sum(len(package.files) for package in find_packages(folder))

    check_crashes(Site(folder, tmp_path / "killed"), [files * share // 100 for share in range(3, 100, 3)], undisturbed)


async def test_paused_it_starts_nothing_until_it_is_resumed(tree: Path, tmp_path: Path) -> None:
    executions = Executions(tmp_path / "executions.log")
    async with Orchestrator("memory://", census_app(executions.log)) as perdure:
        handle = await perdure.start(census.with_options(start_signal=paused(True)), tree)
        progress = await published_pause(handle)

        assert (progress.files, progress.done, progress.running) == (300, 0, {})
        assert executions.lines() == []

        await handle.signal(paused, False)
        assert (await handle.result()).total.files == 297


async def test_a_pause_reaches_the_packages_under_way(tree: Path, tmp_path: Path) -> None:
    executions = Executions(tmp_path / "executions.log")
    async with Orchestrator("memory://", census_app(executions.log), max_activities=PARSERS) as perdure:
        handle = await perdure.start(census, tree)
        while executions.files() < 30:
            await asyncio.sleep(0.001)
        await handle.signal(paused, True)
        progress = await published_pause(handle)
        while any([await perdure.activities(child) for child in progress.running.values()]):
            await asyncio.sleep(0.001)
        held = executions.files()
        await asyncio.sleep(0.2)

        assert executions.files() == held < 300
        await handle.signal(paused, False)
        assert (await handle.result()).total.files == 297


def test_another_process_pauses_it_by_its_folder(tree: Path, tmp_path: Path) -> None:
    site = Site(tree, tmp_path / "paused")

    done = subprocess.run(site.command("pause"), cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert f"no instance '{derived_instance_id(tree)}'" in done.stderr


async def test_progress_adds_what_packages_under_way_have_done(tree: Path) -> None:
    seen: list[tuple[int, int]] = []

    class Recorder:
        def show(self, done: int, of: int, note: str) -> None:
            seen.append((done, of))

    async with Orchestrator("memory://", census_app()) as perdure:
        handle = await perdure.start(census, tree)
        ended = asyncio.create_task(handle.wait())
        while not ended.done():
            await show(perdure, handle, Recorder())
            await asyncio.sleep(0)
        await show(perdure, handle, Recorder())

    assert seen[-1] == (300, 300)
    assert seen == sorted(seen)
    assert len(set(seen)) > 10


def test_without_a_terminal_progress_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    for done in range(301):
        lines.show(done, 300, "json")

    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 11
    assert shown[-1].split() == ["300", "of", "300", "files", "json"]


def test_a_file_is_parsed_and_counted() -> None:
    counted = count(parse(MODULE.encode()), retries=1)

    assert counted == Counts(files=1, lines=8, functions=1, classes=1, imports=2, retries=1)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"def broken(:\n", r"line 1: invalid syntax"),
        (b"# coding: utf-9\n", r"encoding"),
        (b"x = '\0'", r"null byte"),
        (b"(" * 1000 + b")" * 1000, r"parentheses|nested|Recursion|Memory"),
    ],
)
def test_a_file_that_does_not_parse_is_a_permanent_failure(source: bytes, reason: str) -> None:
    with pytest.raises(DoesNotParse) as problem:
        parse(source)

    assert re.search(reason, str(problem.value))


def test_the_injected_fault_depends_on_file_and_attempt_alone_and_passes() -> None:
    def failures(file: str) -> int:
        for attempt in range(1, 6):
            try:
                stumble(file, attempt)
            except Hiccup:
                continue
            return attempt - 1
        raise AssertionError(f"{file} never passes")

    spread = Counter(failures(f"package/module_{number}.py") for number in range(1000))

    assert set(spread) == {0, 1, 2}
    assert 800 < spread[0] < 950


def test_packages_are_found_in_order_and_what_isnt_source_is_skipped(tmp_path: Path) -> None:
    for name in (
        "b/x.py",
        "b/a/y.py",
        "a.py",
        "b/__pycache__/z.py",
        ".git/hook.py",
        "site-packages/p/q.py",
        "b/data.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    found = {package.name: package.files for package in find_packages(tmp_path)}

    assert found == {"(modules)": ["a.py"], "b": ["b/a/y.py", "b/x.py"]}
    assert list(found) == ["(modules)", "b"]


def test_the_report_shows_the_largest_packages_their_sum_and_what_could_not_be_counted() -> None:
    packages = [PackageCensus(f"package_{size}", Counts(1, size * 100, 2, 3, 4, 0), []) for size in range(30)]
    packages.append(PackageCensus("broken", Counts(), ["broken/a.py: line 1: invalid syntax"]))

    lines = report(Census("/src", packages)).splitlines()

    assert lines[0] == "Census of /src: 31 packages"
    assert lines[4].split() == ["package_29", "1", "2,900", "2", "3", "4", "0"]
    assert lines[24].split() == ["(11", "others)", "10", "4,500", "20", "30", "40", "0"]
    assert lines[26].split() == ["total", "30", "43,500", "60", "90", "120", "0"]
    assert lines[-2:] == ["1 files could not be counted:", "  broken/a.py: line 1: invalid syntax"]
    assert len({len(line) for line in lines[2:27]}) == 1


def test_the_command_line_refuses_what_it_cant_count(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.code_census", str(tmp_path / "nowhere")]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "300"})

    assert done.returncode == 2
    assert "is not a folder" in done.stderr
