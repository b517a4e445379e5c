"""What a case is, and what its figures are held against."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

Scale = Mapping[str, int]
"""How much of it, by name: `count`, `in_flight` and what else the case's functions take."""

REMOTE_STORES = ("postgresql", "mariadb", "mysql", "redis", "redis-cluster")
SHARED_STORES = ("sqlite", *REMOTE_STORES)
"""Those that several processes can open."""
EVERY_STORE = (*SHARED_STORES, "memory")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a run brought."""

    figures: dict[str, float]
    """By name. The units of those that are compared are those of the case's measures."""
    settings: dict[str, Any]
    """All that decides the figures and isn't the code: pragmas, options of workers, numbers in flight."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A bound for a figure on one kind of store, or for its ratio to a peer's."""

    bound: float
    store: str = "sqlite"
    times_peer: str = ""
    """The bound is for our figure divided by this peer's."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that is reported, and which direction is better."""

    figure: str
    unit: str
    is_more_better: bool
    targets: tuple[Target, ...] = ()

    def reaches(self, value: float, bound: float) -> bool:
        """Whether a value is as good as the bound."""
        return value >= bound if self.is_more_better else value <= bound


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is timed. `run` and `verify` take the store's URL and the scale as keywords."""

    name: str
    summary: str
    run: Callable[..., Coroutine[Any, Any, Measured]]
    verify: Callable[..., Coroutine[Any, Any, dict[str, int]]]
    measures: tuple[Measure, ...]
    """The first one is the headline: peers bring it too."""
    scale: Scale
    quick: Scale
    remote_scale: Scale = {}
    """What is otherwise on stores behind a network."""
    stores: tuple[str, ...] = EVERY_STORE
    rounds: int | None = None
    """As many rounds at most, for what takes minutes."""

    def scale_on(self, store: str) -> Scale:
        """How much of it on this kind of store."""
        return {**self.scale, **self.remote_scale} if store in REMOTE_STORES else self.scale


def rate(unit: str, *targets: Target) -> Measure:
    """The usual headline of throughput."""
    return Measure(figure="rate", unit=f"{unit}/s", is_more_better=True, targets=targets)


def at_most(figure: str, unit: str, *targets: Target) -> Measure:
    """A figure of which less is better."""
    return Measure(figure=figure, unit=unit, is_more_better=False, targets=targets)


def at_least(figure: str, unit: str, *targets: Target) -> Measure:
    """A figure of which more is better."""
    return Measure(figure=figure, unit=unit, is_more_better=True, targets=targets)
