"""Records what test_corpus.py replays on every Python: run it on each of them, as in

    for v in 3.11 3.12 3.13 3.14; do .venv-$v/bin/python -m tests.engine.record_corpus; done

A recorded history is never made again without need: that those of yesterday replay today is the point.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from perdure.engine.execution import PYTHON
from perdure.model.event import Event
from perdure.serialization.events import event_to_plain
from perdure.workflows.definition import Workflow
from tests.engine.harness import Run
from tests.engine.order_program import ORDERS
from tests.engine.samples import SAMPLES
from tests.engine.test_cancellation import CASES, take

CORPUS = Path(__file__).parent / "corpus"


def workflows() -> dict[str, Workflow[..., Any]]:
    """The workflows of the corpus by the names of their histories."""
    return {
        **{f"sample: {name}": each.workflow for name, each in SAMPLES.items()},
        **{f"order: {each.name}": each for each in ORDERS},
        **{f"cancel: {each.title}": each.workflow for each in CASES},
    }


def record() -> dict[str, list[Event]]:
    """A finished history of each."""
    histories = {}
    for name, definition in workflows().items():
        run = Run(definition)
        for step in steps(name):
            take(run, step)
        if not name.startswith("cancel"):
            run.to_end()
        histories[name] = run.history
    return histories


def steps(name: str) -> tuple[str, ...]:
    if name.startswith("order"):
        return ("first",)
    return next((each.steps for each in CASES if name == f"cancel: {each.title}"), ())


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    plain = {name: [event_to_plain(each) for each in events] for name, events in record().items()}
    histories = [f"{json.dumps(name)}: [\n{_lines(events)}\n]" for name, events in plain.items()]
    (CORPUS / f"{PYTHON}.json").write_text("{\n" + ",\n".join(histories) + "\n}\n")


def _lines(events: list[dict[str, Any]]) -> str:
    """An event a line, so that a change can be read."""
    return ",\n".join(json.dumps(each) for each in events)


if __name__ == "__main__":
    main()
