"""What goes through a set goes backwards, if its order is chance, and nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SAMPLE = """
import asyncio
import datetime
import itertools

names = {"Ada", "Grace", "Barbara"}
as_they_are = [].__class__
there = as_they_are(names)
back = there[::-1]

def looped():
    seen = []
    for each in names:
        seen.append(each)
    return seen

def unpacked():
    first, *rest = names
    return [first, *rest]

def yielded():
    yield from frozenset(names)

def popped():
    left = set(names)
    return [left.pop(), left.pop(), left.pop()]

def extended():
    seen = []
    seen.extend(names)
    return seen

async def awaited():
    async def one(name):
        return name
    return await asyncio.gather(*[one(name) for name in names])

class Town:
    pass

assert looped() == unpacked() == [*yielded()] == popped() == extended() == asyncio.run(awaited()) == back
assert list(names) == [*names] == [name for name in names] == list(map(str, names)) == ",".join(names).split(",") == back
assert list(dict.fromkeys(names)) == list({name: 1 for name in names}) == [next(iter(names)), *back[1:]] == back
assert [name for _, name in enumerate(names)] == list(itertools.chain(names)) == sorted(names, key=lambda _: 0) == back
assert max(names, key=lambda _: 0) == back[0] and as_they_are(names) == there

days = {datetime.date(2026, 1, day) for day in (1, 2, 3)}
towns, pairs = {Town(), Town()}, {("a", 1), ("b", 2)}
assert all(list(each) == as_they_are(each)[::-1] for each in (days, towns, pairs))

numbers, lengths = {3, 1, 2**40}, {datetime.timedelta(1), datetime.timedelta(2)}
assert list(numbers) == as_they_are(numbers) and list(lengths) == as_they_are(lengths)
assert list(reversed(there)) == back and sorted(names) == ["Ada", "Barbara", "Grace"] and max(1, 2) == 2
assert [1, 2].pop() == 2 and {"a": 1}.pop("a") == 1 and list({"a": 1, "b": 2}) == ["a", "b"]
assert (lambda *given: given)(*(1, 2)) == (1, 2)
"""


def in_a_new_process(folder: Path, code: str) -> None:
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{folder}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = f"from perdure.testing.crash.backwards import go_backwards; {code}"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


def test_what_goes_through_a_set_goes_backwards_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(SAMPLE)
    in_a_new_process(tmp_path, "go_backwards(''); import sample")


def test_the_cache_of_compiled_modules_is_neither_used_nor_changed(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(
        "names = {'Ada', 'Grace'}\nthere = [].__class__(names)\nis_back = [*names] != there"
    )
    for code in ("assert not is_back", "assert is_back", "assert not is_back"):
        backwards = "" if "not" in code else "go_backwards(''); "
        in_a_new_process(tmp_path, f"{backwards}from sample import is_back; {code}")
    assert len([*tmp_path.glob("__pycache__/*.pyc")]) == 1


def test_what_is_installed_goes_on_as_it_is_but_for_the_package_of_the_app(tmp_path: Path) -> None:
    code = """
import sys, pytest, flask.helpers
names = {type(sys.modules[name].__spec__.loader).__name__ for name in ("pytest", "perdure.app", "logging.config")}
assert names == {"SourceFileLoader"}, names
assert type(flask.helpers.__spec__.loader).__name__ == "BackwardsLoader"
"""
    in_a_new_process(tmp_path, f"import logging.config; go_backwards('flask'); import perdure.app\n{code}")
