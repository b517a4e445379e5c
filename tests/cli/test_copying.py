from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.backends.connect import connect
from perdure.client.client import Client
from perdure.errors import StoreFilling
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.cli.conftest import Call
from tests.cli.orders import app, echo, go, waiting

ROOT = Path(__file__).parents[2]
MANY = 1_500
SECONDS = 60


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new.db'}"


def start(url: str, *names: str) -> None:
    async def main() -> None:
        async with Client(url, app) as client:
            await asyncio.gather(*(client.start(waiting.with_options(instance_id=name)) for name in names))

    asyncio.run(main())


class TestCopy:
    def test_it_copies_and_shows_both_counts(self, call: Call, url: str, target: str) -> None:
        start(url, "a", "b")

        result = call("copy", url, target)

        assert result.exit_code == 0
        assert [line.split() for line in result.stdout.splitlines()[:2]] == [
            ["STATE", "SOURCE", "TARGET"],
            ["running", "2", "2"],
        ]
        assert f"Copied 2 instances, and 0 settings.\n{target} is open; {url} stays sealed.\n" in result.stdout
        assert result.stderr == "1 of 2 instances\n2 of 2 instances\n"

    def test_it_writes_json_and_nothing_else(self, call: Call, url: str, target: str) -> None:
        start(url, "a")

        result = call("copy", url, target, "--json")

        assert json.loads(result.output) == {
            "source_url": url,
            "target_url": target,
            "source": {"running": 1},
            "target": {"running": 1},
            "instances": 1,
            "there_before": 0,
            "settings": 0,
            "had_ended": False,
        }

    def test_a_dry_run_only_counts(self, call: Call, url: str, target: str) -> None:
        start(url, "a")
        call("migrate", "--store", target)

        result = call("copy", "--dry-run", url, target)

        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.endswith("Nothing was copied.\n")
        assert call("list", "--store", target).stdout == ""
        start(url, "b")

    def test_what_has_ended_is_not_begun_again(self, call: Call, url: str, target: str) -> None:
        start(url, "a")
        call("copy", url, target)

        result = call("copy", url, target)

        assert result.exit_code == 0
        assert "there was nothing to do" in result.stdout

    def test_a_target_with_instances_needs_a_word(self, call: Call, url: str, target: str) -> None:
        start(url, "a")
        start(target, "b")

        refused = call("copy", url, target)
        allowed = call("copy", "--into-existing", url, target)

        assert (refused.exit_code, allowed.exit_code) == (2, 0)
        assert "--into-existing" in refused.stderr

    def test_ids_that_both_have_are_told(self, call: Call, url: str, target: str) -> None:
        start(url, "a", "b")
        start(target, "b")

        result = call("copy", "--into-existing", url, target)

        assert result.exit_code == 1
        assert "'b'. Nothing was copied" in result.stderr

    def test_unseal_opens_the_source_of_a_copy_that_was_broken_off(self, call: Call, url: str, target: str) -> None:
        start(url, "a", "b")
        begin_and_break_off(url, target)

        result = call("copy", "--unseal", url, target)

        assert result.exit_code == 0
        assert result.stdout == (
            f"{url} is open again.\n{target} has 1 copies of its instances and stays closed: delete that store.\n"
        )
        start(url, "c")
        with pytest.raises(StoreFilling):
            start(target, "c")

    def test_unseal_after_the_end_is_refused(self, call: Call, url: str, target: str) -> None:
        start(url, "a")
        call("copy", url, target)

        result = call("copy", "--unseal", url, target)

        assert result.exit_code == 2
        assert "would run twice" in " ".join(result.stderr.split())

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["sqlite:///no/such.db", "sqlite:///new.db"], "there is no store sqlite:///no/such.db"),
            (["memory://a", "sqlite:///new.db"], "a memory store lives and dies in one process"),
            (["URL", "memory://a"], "a memory store lives and dies in one process"),
            (["URL", "URL"], "are the same store"),
            (["--dry-run", "URL", "sqlite:///no/such.db"], "there is no store sqlite:///no/such.db"),
            (["--unseal", "--json", "URL", "URL"], "--unseal goes with no other option"),
        ],
    )
    def test_a_wrong_command_line(self, call: Call, url: str, arguments: list[str], message: str) -> None:
        start(url, "a")

        result = call("copy", *(each.replace("URL", url) for each in arguments))

        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())
        start(url, "b")


def begin_and_break_off(source: str, target: str) -> None:
    """As a process that is killed after the first instance leaves it."""
    from perdure.backends.seals import filling_from

    async def main() -> None:
        old, new = connect(source), connect(target)
        await old.open()
        await new.open()
        await new.seal(filling_from(old.url))
        await old.seal(new.url)
        async for exported in old.export_instances():
            await new.import_instance(exported)
            break
        await old.close()
        await new.close()

    asyncio.run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("seed", range(3))
def test_b12_a_copy_that_is_killed_again_and_again_ends_with_all(url: str, target: str, seed: int) -> None:
    dice = random.Random(seed)
    asyncio.run(fill(url))

    for lines in (0, dice.randrange(1, 5), dice.randrange(1, 10)):
        process = copy_process(url, target)
        assert process.stderr is not None
        for _ in range(lines):
            process.stderr.readline()
        process.kill()
        process.communicate()
    process = copy_process(url, target, "--json")
    said, _ = process.communicate(timeout=SECONDS)

    copied = json.loads(said)
    assert process.returncode == 0
    assert copied["had_ended"] or copied["instances"] + copied["there_before"] == MANY + 1
    asyncio.run(check_all(target))


def copy_process(source: str, target: str, *options: str) -> subprocess.Popen[str]:
    program = "from perdure.cli import main; main()"
    arguments = ["copy", source, target, *options]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def fill(url: str) -> None:
    async with Client(url, app) as client:
        for number in range(MANY):
            await client.start(waiting.with_options(instance_id=f"waits {number}"))
            if number % 3 == 0:
                await client.handle(f"waits {number}").signal(go)
    async with Orchestrator(url, app) as orchestrator:
        await orchestrator.run(echo.with_options(instance_id="done"), "text")


async def check_all(url: str) -> None:
    async with Orchestrator(url, app) as orchestrator:
        assert await orchestrator.handle("done", workflow=echo).result() == "TEXT"
        for number in range(MANY):
            handle = orchestrator.handle(f"waits {number}", workflow=waiting)
            if number % 3:
                await handle.signal(go)
            await handle.result(timeout=SECONDS)
        assert await orchestrator.backend.count_instances() == {State.COMPLETED: MANY + 1}
