"""What every command must have: help with an example, JSON, a place on the page of the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from perdure.cli.commands import perdure
from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text()

WITHOUT_JSON = {
    "worker": "it works until it is stopped, and logs",
    "lint": "--format has json, and sarif",
    "debug": "a person talks to pdb",
    "history export": "it writes nothing but JSON",
    "completion": "a shell reads it",
    "ui": "a browser reads it; the pages have a JSON API",
    "mcp": "an agent reads it",
}
WITHOUT_STORE = {"lint", "completion", "copy"}


def walked(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walked(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(walked(perdure))
each_command = pytest.mark.parametrize("name", COMMANDS)


def examples_of(command: click.Command) -> list[str]:
    return [line.strip() for line in (command.epilog or "").splitlines()[2:]]


@each_command
def test_its_help_begins_with_a_sentence_that_fits_a_line(call: Call, name: str) -> None:
    first = (COMMANDS[name].help or "").splitlines()[0]

    assert first[0].isupper()
    assert first[-1] in ".?"
    assert "..." not in COMMANDS[name].get_short_help_str(64)


@each_command
def test_its_help_has_an_example_of_it(call: Call, name: str) -> None:
    shown = call(*name.split(), "--help")

    assert shown.exit_code == 0
    for example in examples_of(COMMANDS[name]):
        assert f"  {example}\n" in shown.stdout
    assert any(f"perdure {name}" in example for example in examples_of(COMMANDS[name]))


@each_command
def test_its_examples_can_be_read_as_a_command_line(name: str) -> None:
    for example in examples_of(COMMANDS[name]):
        read(example)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.stem
)
def test_what_a_page_says_to_type_can_be_read_as_a_command_line(page: Path) -> None:
    for line in re.findall(r"^\$ (perdure .*)$", page.read_text(), re.MULTILINE):
        read(line)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has what examples name."""
    for name in ("order-7.json", "order.json", "orders.json", "flow.py"):
        (tmp_path / name).touch()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)


def read(line: str) -> None:
    """Parse it, without running it: the command, its options, values of their kinds."""
    words = shlex.split(re.split(r" \| | && | \|\| | > | &$", line)[0], comments=True)
    if words[0] != "perdure":
        return
    name = next(found for length in (2, 1) if (found := " ".join(words[1 : 1 + length])) in COMMANDS)
    arguments = words[1 + len(name.split()) :]
    COMMANDS[name].make_context(name, arguments)


@each_command
def test_every_option_says_what_it_does(name: str) -> None:
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]

    assert [option.name for option in options if not option.help and option.name not in PLAIN] == []


PLAIN = {"log_level", "output_format"}


@each_command
def test_it_can_write_json(name: str) -> None:
    has_json = any("--json" in each.opts for each in COMMANDS[name].params)

    assert has_json is (name not in WITHOUT_JSON)


@each_command
def test_it_takes_the_store_from_the_environment(name: str) -> None:
    stores = [each for each in COMMANDS[name].params if each.name == "store"]

    assert [each.envvar for each in stores] == ([] if name in WITHOUT_STORE else ["PERDURE_STORE"])


@each_command
def test_the_page_has_an_example_of_it(name: str) -> None:
    assert re.search(rf"^\$ perdure {name}\b", PAGE, re.MULTILINE), f"docs/command-line.md has no `perdure {name}`"


def test_help_is_in_sections_and_every_command_in_one(call: Call) -> None:
    shown = call("--help").stdout

    assert [line for line in shown.splitlines() if re.fullmatch(r"[A-Z][a-z ]+:", line)] == [
        "Options:",
        "Run:",
        "Look:",
        "Steer:",
        "Keep house:",
        "Develop:",
    ]
    assert sorted(name for names in perdure.sections.values() for name in names) == sorted(perdure.commands)
