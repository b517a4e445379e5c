"""What a worker can be told, checked and merged with defaults: an option that isn't given never means "none of it"."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from perdure.clock import random_id
from perdure.engine.limits import Limits
from perdure.errors import ConfigurationError
from perdure.model.names import DEFAULT_QUEUE, OWN_VERSION, check_name
from perdure.model.options import Duration
from perdure.worker.guard import GuardMode

_LEASE_SECONDS = 20.0
DEFAULT_CACHE_SIZE = 2_000
_BEATS_PER_LEASE = 4


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """All of a worker's options, with none left open."""

    name: str
    workflow_queues: tuple[str, ...]
    activity_queues: tuple[str, ...]
    versions: frozenset[str] | None
    max_workflow_tasks: int
    max_activities: int
    activity_threads: int
    cache_size: int
    grace_seconds: float
    block_limit_seconds: float
    lease_seconds: float
    limits: Limits
    guard: GuardMode

    @property
    def beat_seconds(self) -> float:
        """Between two heartbeats."""
        return self.lease_seconds / _BEATS_PER_LEASE


def worker_options(  # noqa: PLR0913 - each is an option with a default
    *,
    name: str | None = None,
    queues: Iterable[str] | None = None,
    workflow_queues: Iterable[str] | None = None,
    activity_queues: Iterable[str] | None = None,
    versions: Iterable[str] | None = None,
    max_workflow_tasks: int | None = None,
    max_activities: int | None = None,
    activity_threads: int | None = None,
    cache_size: int | None = None,
    grace: Duration | None = None,
    block_limit: Duration | None = None,
    lease: Duration | None = None,
    limits: Limits | None = None,
    guard: GuardMode | str | None = None,
) -> WorkerOptions:
    """The options with defaults for what is None. Raises ConfigurationError."""
    both = _names(queues, (DEFAULT_QUEUE,), "queues")
    workflows = _names(workflow_queues, both, "workflow_queues")
    activities = _names(activity_queues, both, "activity_queues")
    if not workflows and not activities:
        raise ConfigurationError("the worker would serve no queue: leave `queues` out for the default one")
    slots = _count(max_activities, 200, "max_activities", "use activity_queues=() for a worker without activities")
    return WorkerOptions(
        name=_default_name() if name is None else check_name(name, "a worker's name"),
        workflow_queues=workflows,
        activity_queues=activities,
        versions=None if versions is None else _versions(versions),
        max_workflow_tasks=_count(
            max_workflow_tasks, 1_000, "max_workflow_tasks", "use workflow_queues=() for a worker without workflows"
        ),
        max_activities=slots,
        activity_threads=_count(activity_threads, slots, "activity_threads", "leave it out for one per activity"),
        cache_size=_count(
            cache_size, DEFAULT_CACHE_SIZE, "cache_size", "use 0 to keep no execution in memory", least=0
        ),
        grace_seconds=_seconds(grace, 10.0, "grace", may_be_zero=True),
        block_limit_seconds=_seconds(block_limit, 30.0, "block_limit"),
        lease_seconds=_seconds(lease, _LEASE_SECONDS, "lease"),
        limits=limits or Limits(),
        guard=GuardMode.of(guard),
    )


def _names(given: Iterable[str] | None, default: tuple[str, ...], what: str) -> tuple[str, ...]:
    if given is None:
        return default
    if isinstance(given, str):
        raise ConfigurationError(f"{what} is {given!r}: pass several names, as in {what}=({given!r},)")
    return tuple(dict.fromkeys(check_name(each, "a queue's name") for each in given))


def _versions(given: Iterable[str]) -> frozenset[str]:
    if isinstance(given, str):
        raise ConfigurationError(f"versions is {given!r}: pass several, as in versions=({given!r},)")
    versions = frozenset(given)
    if not versions:
        raise ConfigurationError(
            "versions is empty: the worker would claim nothing; leave it out to claim every version"
        )
    return versions | {OWN_VERSION}


def _count(given: int | None, default: int, what: str, instead: str, *, least: int = 1) -> int:
    if given is None:
        return default
    if type(given) is not int or given < least:
        raise ConfigurationError(f"{what} is {given!r}: it must be a number from {least} on; {instead}")
    return given


def _seconds(given: Duration | None, default: float, what: str, *, may_be_zero: bool = False) -> float:
    if given is None:
        return default
    seconds = given.total_seconds() if isinstance(given, timedelta) else float(given)
    if not (seconds > 0 or (may_be_zero and seconds == 0)):
        raise ConfigurationError(f"{what} is {given!r}: it must be {'at least' if may_be_zero else 'longer than'} 0")
    return seconds


def _default_name() -> str:
    """Host, process id and a random part: a new one for each worker."""
    return f"{platform.node()[:200] or 'localhost'}:{os.getpid()}:{random_id().hex()[:8]}"
