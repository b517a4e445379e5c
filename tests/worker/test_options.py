from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.errors import ConfigurationError, InvalidName
from perdure.worker.options import WorkerOptions, worker_options


@pytest.mark.needs_cache
def test_trap_empty_options_dont_mean_zero_pollers() -> None:
    options = worker_options()

    assert options.workflow_queues == options.activity_queues == ("default",)
    assert options.max_workflow_tasks > 0
    assert options.max_activities > 0
    assert options.activity_threads > 0
    assert options.cache_size > 0
    assert options.lease_seconds == 20
    assert options.beat_seconds == 5
    assert options.versions is None


def test_k1_queues_are_for_both_kinds_unless_one_is_given() -> None:
    assert _queues(worker_options(queues=["a", "b", "a"])) == (("a", "b"), ("a", "b"))
    assert _queues(worker_options(queues=["a"], activity_queues=["b"])) == (("a",), ("b",))
    assert _queues(worker_options(activity_queues=())) == (("default",), ())
    assert _queues(worker_options(workflow_queues=())) == ((), ("default",))


def _queues(options: WorkerOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return options.workflow_queues, options.activity_queues


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"queues": ()}, "serve no queue"),
        ({"workflow_queues": (), "activity_queues": ()}, "serve no queue"),
        ({"queues": "eu"}, r"queues=\('eu',\)"),
        ({"versions": ()}, "would claim nothing"),
        ({"versions": "v1"}, "pass several"),
        ({"max_workflow_tasks": 0}, "workflow_queues=()"),
        ({"max_activities": 0}, "activity_queues=()"),
        ({"max_activities": True}, "must be a number"),
        ({"max_activities": 2.5}, "must be a number"),
        ({"cache_size": -1}, "from 0 on"),
        ({"grace": -1}, "at least 0"),
        ({"block_limit": 0}, "longer than 0"),
        ({"lease": timedelta(0)}, "longer than 0"),
        ({"block_limit": float("nan")}, "longer than 0"),
    ],
)
def test_k1_options_that_cant_be_meant_are_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        worker_options(**given)  # type: ignore[arg-type]


def test_b8_names_of_queues_and_workers_are_checked() -> None:
    with pytest.raises(InvalidName):
        worker_options(queues=["a\0b"])
    with pytest.raises(InvalidName):
        worker_options(name="")


def test_durations_are_timedeltas_or_seconds() -> None:
    assert worker_options(grace=timedelta(minutes=1)).grace_seconds == 60
    assert worker_options(grace=0).grace_seconds == 0


def test_each_worker_has_a_name_of_its_own() -> None:
    assert worker_options().name != worker_options().name
