"""Figures that others have published or that were measured another day, on another machine: nothing of it is run here.

They stand in a column of their own, and what is said beside them is no more than a hint: only a run beside ours is a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

GO_WORKFLOWS = "go-workflows"
DBOS = "DBOS"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure of a case on a kind of store, from the least to the most that was seen."""

    who: str
    case: str
    figure: str
    store: str
    least: float
    most: float

    def best(self, *, is_more_better: bool) -> float:
        """What we are compared with."""
        return self.most if is_more_better else self.least


def _go_workflows(case: str, figure: str, **on: tuple[float, float]) -> tuple[Published, ...]:
    return tuple(
        Published(who=GO_WORKFLOWS, case=case, figure=figure, store=store, least=least, most=most)
        for store, (least, most) in on.items()
    )


# Go, one process with its worker, both on two cores; it doesn't run on MariaDB.
_ONE_ACTIVITY = {"postgresql": (95.0, 104.0), "mysql": (154.0, 199.0), "redis": (1_500.0, 1_770.0)}
_STEPS = {"postgresql": (257.0, 313.0), "mysql": (181.0, 181.0), "redis": (1_420.0, 1_680.0)}
_IDLE = {"postgresql": (10.0, 12.0), "mysql": (8.0, 9.0), "redis": (0.95, 0.95)}
_TREE = {"postgresql": (74.0, 100.0), "mysql": (122.0, 183.0), "redis": (1_230.0, 1_730.0)}

PUBLISHED: tuple[Published, ...] = (
    *_go_workflows("one_activity", "rate", **_ONE_ACTIVITY),
    *_go_workflows("two_workers", "rate", **_ONE_ACTIVITY),
    *_go_workflows("steps_in_a_row", "rate", **_STEPS),
    *_go_workflows("idle_latency", "p50_ms", **_IDLE),
    *_go_workflows("tree", "rate", **_TREE),
    Published(who=DBOS, case="one_activity", figure="rate", store="postgresql", least=150.0, most=460.0),
    Published(who=DBOS, case="two_workers", figure="rate", store="postgresql", least=150.0, most=460.0),
)
