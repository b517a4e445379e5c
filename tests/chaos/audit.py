"""What must hold of a store after a chaos run: every instance, every history, every lease, every wait, every log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from perdure.client.client import Client
from perdure.model.event import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    EndEvent,
    Event,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    SubWorkflowScheduled,
    TimerCancelled,
    TimerFired,
    TimerSet,
)
from perdure.model.instance import Instance, State
from tests.chaos.leases import Leases
from tests.chaos.logs import log_problems, most_warnings
from tests.chaos.program import Receipt
from tests.chaos.waits import waits_after_deaths
from tests.chaos.witness import Kind, Seen, Thing, Told, read_witness

_AT_ONCE = 50

_ENDS: dict[type[Event], tuple[type[Event], ...]] = {
    ActivityScheduled: (ActivityCompleted, ActivityFailed),
    SubWorkflowScheduled: (SubWorkflowCompleted, SubWorkflowFailed),
    TimerSet: (TimerFired, TimerCancelled),
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    problems: tuple[str, ...]
    figures: Mapping[str, object]

    def __str__(self) -> str:
        width = max(map(len, self.figures), default=0)
        figures = [f"  {name:<{width}}  {value}" for name, value in self.figures.items()]
        if not self.problems:
            return "\n".join([*figures, "all that must hold, holds"])
        shown = [f"  - {problem}" for problem in self.problems[:50]]
        return "\n".join([*figures, f"{len(self.problems)} problems:", *shown])


async def audit(
    client: Client,
    folder: Path,
    run_id: str,
    expected: Mapping[str, int],
    *,
    longest_wait_seconds: float,
    most_log_lines: int,
) -> Report:
    """Looks at the store through `client`, and at what the processes of the run left in `folder`; its instances have ids that begin with `run_id`."""
    seen = await asyncio.to_thread(read_witness, folder)
    leases = Leases(seen)
    instances = [each async for each in client.list(id_prefix=run_id)]
    problems = list(instance_problems(instances, expected))
    problems += await _history_problems(client, instances, expected, leases)
    problems += [*told_problems(seen, expected), *leases.problems()]
    waits = waits_after_deaths(seen, leases)
    problems += [
        f"{wait}: more than {longest_wait_seconds:.1f} s"
        for wait in waits
        if wait.needless_seconds > longest_wait_seconds
    ]
    problems += log_problems(folder, most_lines=most_log_lines)
    return Report(
        problems=tuple(problems),
        figures={
            "instances": len(instances),
            "killed workers": len(leases.deaths),
            "leases": sum(len(each) for each in leases.of_thing.values()),
            "taken over from the dead": len(waits),
            "longest wait after a death": _longest(wait.seconds for wait in waits),
            "while others had their hands free": _longest(wait.needless_seconds for wait in waits),
            "most warnings of one process": most_warnings(folder),
        },
    )


def _longest(seconds: Iterable[float]) -> str:
    return f"{max(seconds, default=0.0):.2f} s"


def instance_problems(instances: Iterable[Instance], expected: Mapping[str, int]) -> Iterator[str]:
    """Each one is there once, and COMPLETED."""
    there = Counter(each.instance_id for each in instances)
    yield from (f"{instance_id} is missing" for instance_id in expected if instance_id not in there)
    yield from (
        f"{instance_id} is there, and nobody started it" for instance_id in there if instance_id not in expected
    )
    for each in instances:
        if each.state is not State.COMPLETED:
            stuck = "" if each.stuck is None else f", stuck: {each.stuck.reason}"
            yield f"{each.instance_id} is {each.state}, held by {each.worker}, due at {each.due_at}{stuck}"


def told_problems(seen: Iterable[Seen], expected: Mapping[str, int]) -> Iterator[str]:
    """Clients that waited heard how it ended."""
    for each in seen:
        match each.line:
            case Told(instance_id=instance_id, result=result) if result != expected.get(instance_id):
                yield f"{instance_id}: a client was told {result}, not {expected.get(instance_id)}"
            case _:
                pass


async def _history_problems(
    client: Client, instances: Iterable[Instance], expected: Mapping[str, int], leases: Leases
) -> list[str]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def of_instance(instance: Instance) -> list[str]:
        async with slots:
            problems: list[str] = []
            for execution in await client.executions(instance.instance_id):
                history = client.history(instance.instance_id, execution_id=execution.execution_id)
                events = [each.event async for each in history]
                problems += events_problems(events)
                problems += receipt_problems(instance.instance_id, events, leases)
            if instance.state is State.COMPLETED:
                result = await client.result(instance.instance_id)
                if result != expected.get(instance.instance_id):
                    problems.append(f"its result is {result}, not {expected.get(instance.instance_id)}")
            return [f"{instance.instance_id}: {problem}" for problem in problems]

    return [problem for found in await asyncio.gather(*map(of_instance, instances)) for problem in found]


def events_problems(events: Sequence[Event]) -> Iterator[str]:
    """Each command has one result, and the execution one end."""
    ends = [event for event in events if isinstance(event, EndEvent)]
    if len(ends) != 1 or events[-1] is not ends[0]:
        yield f"its history has {len(ends)} ends, the last event is {events[-1] if events else None}"
    for asked, answers in _ENDS.items():
        numbers = Counter(event.number for event in events if isinstance(event, asked))  # type: ignore[union-attr]
        results = Counter(event.number for event in events if isinstance(event, answers))  # type: ignore[union-attr]
        for number in sorted(numbers.keys() | results.keys()):
            if (numbers[number], results[number]) != (1, 1):
                yield f"{asked.__name__} {number} is there {numbers[number]} times, its result {results[number]} times"


def receipt_problems(instance_id: str, events: Iterable[Event], leases: Leases) -> Iterator[str]:
    """What was recorded is what the attempt said that began last."""
    for event in events:
        if isinstance(event, ActivityCompleted):
            receipt = msgspec.json.decode(event.result, type=Receipt)
            last = leases.last_attempt(Thing(Kind.ACTIVITY, receipt.activity_key, instance_id))
            if receipt.token != last:
                yield f"the result of activity {event.number} is that of token {receipt.token}, the last attempt had {last}"
