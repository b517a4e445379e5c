"""One run of a test: what goes wrong in it, and what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.backends.memory.rows import InstanceRow
from perdure.model.instance import State
from perdure.model.task import ActivityTask
from perdure.serialization.saved import SavedHistory
from perdure.testing.crash.trouble import Kind, Trouble


class Ended(msgspec.Struct, frozen=True):
    """How an instance stands when the test is over."""

    workflow: str
    state: State
    result: bytes | None
    error: str
    published: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, row: InstanceRow) -> Ended:
        error = "" if row.failure is None else f"{row.failure.type_name}: {row.failure.message}"
        published = tuple(sorted(row.published.items()))
        return cls(row.workflow, row.state, row.result, error or row.reason, published)

    def __str__(self) -> str:
        result = "" if self.result is None else f" with {self.result.decode(errors='replace')}"
        values = "".join(f", published {key}: {value.decode(errors='replace')}" for key, value in self.published)
        return f"{self.workflow} {self.state}{result}{self.error and f' ({self.error})'}{values}"


class Run:
    """Made for each; the testers of the run write into it."""

    def __init__(self, trouble: Trouble, seed: int) -> None:
        self.trouble = trouble
        self.dice = Random(f"{seed} {trouble}")
        """For the order of deliveries."""
        self.chance = Random(seed)
        """For ids, and so for all that workflows draw: the same in each run."""
        self.app: App | None = None
        """Of the first tester."""
        self.commits = 0
        """How many commits of workers there were."""
        self.returned: Any = None
        """By the test."""
        self.problem: BaseException | None = None
        """How the test failed."""
        self.ended: list[Ended] = []
        self.histories: list[SavedHistory] = []
        """Of the first tester's App."""
        self.calls: Counter[str] = Counter()
        """What workflows asked for."""
        self.findings: list[str] = []
        self._starts: Counter[tuple[str, int, int]] = Counter()
        """By activity, its row and attempt."""

    @property
    def is_cancelling(self) -> bool:
        """Whether the test itself can't be expected to pass."""
        return self.trouble.kind is Kind.CANCEL

    def next_commit(self) -> int:
        """The number of the commit that comes now."""
        self.commits += 1
        return self.commits

    def note_start(self, activity: Activity[..., Any], task: ActivityTask) -> None:
        """An activity's function is called. May be called from any thread."""
        if not activity.options.idempotent and not activity.name.startswith("perdure."):
            self._starts[activity.name, task.activity_key, task.attempt] += 1

    def repeated(self) -> Mapping[str, int]:
        """How often each activity that isn't declared idempotent ran for the same attempt, if more than once."""
        found: dict[str, int] = {}
        for (name, *_), count in self._starts.items():
            if count > 1:
                found[name] = max(count, found.get(name, 0))
        return found
