"""W2: histories made on each supported Python replay on each other one; test_python_differences.py names what doesn't."""

from __future__ import annotations

import json
from functools import cache

import pytest

from perdure.engine.execution import PYTHON, Execution
from perdure.model.event import Event
from perdure.serialization.events import event_from_plain
from tests.engine.harness import Run
from tests.engine.record_corpus import CORPUS, record, workflows

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@cache
def histories(python: str) -> dict[str, list[Event]]:
    plain = json.loads((CORPUS / f"{python}.json").read_text())
    return {name: [event_from_plain(each) for each in events] for name, events in plain.items()}


@pytest.mark.parametrize("name", workflows())
@pytest.mark.parametrize("python", PYTHONS)
def test_a_history_of_another_python_replays(python: str, name: str) -> None:
    """W2: what the corpus proves is promised."""
    recorded = histories(python).get(name)
    if recorded is None:
        pytest.skip(f"{python} has no such thing")
    run = Run(workflows()[name], begin=False)
    execution: Execution = run.execution
    execution.replay(recorded)
    assert execution.position == len(recorded)


@pytest.mark.parametrize("name", workflows())
def test_what_is_recorded_today_is_what_the_corpus_has(name: str) -> None:
    """W2: the engine makes the same history as when the corpus was recorded, byte for byte."""
    assert todays()[name] == histories(PYTHON)[name]


@cache
def todays() -> dict[str, list[Event]]:
    return record()


def test_the_corpus_has_every_supported_python() -> None:
    """W2."""
    assert {path.stem for path in CORPUS.glob("*.json")} == set(PYTHONS)
    assert all(len(histories(python)) >= 50 for python in PYTHONS)
