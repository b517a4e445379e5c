"""What goes wrong in a run, how often and when: all of it follows from the seed.

Each seed has some kinds of trouble and not others, so that one kind can't always hide what another one would show.
"""

from __future__ import annotations

from random import Random

import msgspec

from perdure.model.inspection import QueueLimits
from perdure.testing.simulation.programs import QUEUES


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """Something happens to a site at a time, for a while."""

    at: float
    kind: str
    """crash, freeze, partition, stop, hurry or clock."""
    site: int
    seconds: float


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How the workers of a site are set up."""

    queues: tuple[str, ...]
    kinds: str
    """both, workflows or activities."""
    cache_size: int
    workflow_tasks: int
    activities: int
    lease_seconds: float
    grace_seconds: float


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """The troubles of a run. What ends in `_chance` is per request, or per wait."""

    storm_seconds: float
    latency_seconds: float
    lose_request_chance: float
    lose_answer_chance: float
    arrive_late_chance: float
    """The caller has given up, and yet the request takes place."""
    duplicate_chance: float
    slow_chance: float
    crash_before_chance: float
    crash_after_chance: float
    lose_hint_chance: float
    strikes: tuple[Strike, ...]
    settings: tuple[Setting, ...]
    programs: int
    limits: tuple[tuple[str, QueueLimits], ...]
    """Of some queues."""
    blob_threshold: int
    """Payloads of more bytes are kept apart."""


def random_weather(dice: Random) -> Weather:
    """The weather of a run."""
    storm = dice.choice((4.0, 8.0, 15.0))
    sites = dice.randint(2, 4)
    return Weather(
        storm_seconds=storm,
        latency_seconds=dice.choice((0.001, 0.01, 0.05)),
        lose_request_chance=_chance(dice, 0.02),
        lose_answer_chance=_chance(dice, 0.02),
        arrive_late_chance=_chance(dice, 0.02),
        duplicate_chance=_chance(dice, 0.1),
        slow_chance=_chance(dice, 0.1),
        crash_before_chance=_chance(dice, 0.01),
        crash_after_chance=_chance(dice, 0.01),
        lose_hint_chance=_chance(dice, 0.5),
        strikes=_strikes(dice, storm, sites),
        settings=tuple(_setting(dice, is_first=site == 0) for site in range(sites)),
        programs=dice.randint(2, 8),
        limits=tuple((queue, _limits(dice)) for queue in QUEUES if dice.random() < 0.15),
        blob_threshold=dice.choice((1, 30, 1_000_000)),
    )


def _chance(dice: Random, highest: float) -> float:
    return dice.uniform(0, highest) if dice.random() < 0.4 else 0.0


def _limits(dice: Random) -> QueueLimits:
    return QueueLimits(at_once=dice.choice((None, 1, 2)), per_second=dice.choice((None, 3.0, 20.0)))


def _strikes(dice: Random, storm: float, sites: int) -> tuple[Strike, ...]:
    kinds = [kind for kind in ("crash", "freeze", "partition", "stop", "hurry", "clock") if dice.random() < 0.4]
    if not kinds:
        return ()
    strikes = [
        Strike(
            at=dice.uniform(0, storm),
            kind=dice.choice(kinds),
            site=dice.randrange(sites),
            seconds=dice.choice((0.2, 1.5, 5.0)),
        )
        for _ in range(dice.randint(0, 6))
    ]
    return tuple(sorted(strikes, key=lambda strike: strike.at))


def _setting(dice: Random, *, is_first: bool) -> Setting:
    """The first site serves everything, so that nothing waits for ever."""
    queues = QUEUES if is_first else tuple(queue for queue in QUEUES if dice.random() < 0.7) or QUEUES[:1]
    return Setting(
        queues=queues,
        kinds="both" if is_first else dice.choice(("both", "both", "both", "workflows", "activities")),
        cache_size=dice.choice((0, 1, 2, 100)),
        workflow_tasks=dice.choice((1, 2, 50)),
        activities=dice.choice((1, 2, 50)),
        lease_seconds=dice.choice((2.0, 4.0)),
        grace_seconds=dice.choice((0.0, 0.5, 2.0)),
    )
