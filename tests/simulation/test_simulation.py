"""A thousand seeds hold, each run can be repeated, and what is broken on purpose is found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count

import pytest

from perdure.testing.simulation.many import command, run_chunk, run_seeds
from perdure.testing.simulation.run import simulate

from . import planted

SEEDS = 1_000
MOST_SEEDS_PER_BUG = 400  # the rarest shows once in 130


def test_nothing_that_happens_to_machines_and_networks_breaks_a_promise() -> None:
    """B2-B5, B7, K2, K3, A2, W5, W7, W9-W11, E1-E3: see `referee`, `ledger`, `oracle`, `audit` and `history`."""
    failures = [failure for progress in run_seeds(range(SEEDS)) for failure in progress.failures]

    assert not failures, "\n\n".join(map(str, failures[:3]))


def test_a_run_can_be_repeated() -> None:
    for seed in range(20):
        assert simulate(seed).trace.lines() == simulate(seed).trace.lines()


def test_a_run_is_the_same_in_every_process() -> None:
    """Whatever the hashes of strings are there."""
    program = "from perdure.testing.simulation.run import simulate\nfor seed in range(15): print(simulate(seed).trace.digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "2")
    }

    assert len(digests) == 1


@pytest.mark.parametrize("plant", planted.BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    found = next(seed for seed in count() if seed == MOST_SEEDS_PER_BUG or simulate(seed).violations)

    assert found < MOST_SEEDS_PER_BUG, f"{MOST_SEEDS_PER_BUG} seeds didn't show that {plant.__doc__}"


@pytest.mark.parametrize("plant", planted.BUGS_OF_FIRST_STEPS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_of_first_steps_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    test_a_planted_bug_is_found(plant, monkeypatch)


def test_a_failing_seed_says_what_is_wrong_and_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planted.timers_too_early(monkeypatch)

    failure = run_chunk(tuple(range(20))).failures[0]

    assert "too early" in str(failure)
    assert str(failure).endswith(command(failure.seed))


def test_a_run_on_the_command_line_shows_its_trace() -> None:
    done = subprocess.run([sys.executable, *command(3).split()[1:]], capture_output=True, text=True, check=True)

    assert "checkpoint" in done.stdout
    assert done.stdout.endswith("all is well\n")
