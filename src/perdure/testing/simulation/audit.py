"""What must hold of the store when all has come to rest: ends, histories, letters, and that nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from perdure.app import App
from perdure.backends.memory.reading import events_of
from perdure.backends.memory.rows import InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.model.event import CancelRequested, Event, ExecutionFailed, ExecutionStarted, SignalReceived
from perdure.model.instance import State
from perdure.model.options import ParentClose
from perdure.model.reference import PAYLOAD_FIELDS, is_reference, read_reference
from perdure.testing.simulation.driver import Driver
from perdure.testing.simulation.history import history_problems, replay_problems
from perdure.testing.simulation.interpreter import Entry
from perdure.testing.simulation.oracle import Oracle, all_steps, fails, letters_in, programs_of, steps_of
from perdure.testing.simulation.programs import Letter, Program, Script
from perdure.testing.simulation.referee import Referee

_LATE_MICROS = 20_000_000
"""A task that was under way when its instance was told to cancel may still end it otherwise; not for ever."""

Chain = Sequence[tuple[bytes, list[Event]]]
"""The executions of an instance with their histories, oldest first."""


class Audit:
    """Looks at the rows themselves."""

    def __init__(self, tables: Tables, app: App, referee: Referee, driver: Driver, scripts: Sequence[Script]) -> None:
        self._tables = tables
        self._app = app
        self._referee = referee
        self._driver = driver
        self._scripts = {script.program.name: script for script in scripts}
        self._programs = {each.name: each for script in scripts for each in programs_of(script.program)}
        lost = sum(worker.is_dead for worker in tables.workers.values())
        self._oracle = Oracle(lost, self._result_of)

    def problems(self) -> Iterator[str]:
        """Everything that is wrong."""
        for name in self._scripts:
            if name not in self._tables.by_id:
                yield f"{name} was started, and isn't there"
        for row in list(self._tables.by_id.values()):
            for problem in self._of_instance(row):
                yield f"{row.instance_id}: {problem}"
        yield from self._written()
        yield from self._left_over()

    def _of_instance(self, row: InstanceRow) -> Iterator[str]:
        if row.is_running:
            yield f"hasn't ended: {stand_of(row)}"
            return
        chain = self._chain(row)
        for number, (execution_id, events) in enumerate(chain, 1):
            is_last = number == len(chain)
            yield from history_problems(events, row.state if is_last else State.CONTINUED_AS_NEW)
            yield from replay_problems(self._app, row, execution_id, events)
        yield from self._end(row, chain)
        yield from self._letters(row, chain)
        yield from self._parent_close(row, chain)
        yield from self._published(row)

    def _chain(self, row: InstanceRow) -> Chain:
        past = [(each.execution_id, each.history) for each in row.past]
        return [
            (execution_id, [self._opened(each.event) for each in events_of(history)])
            for execution_id, history in [*past, (row.execution_id, row.history)]
        ]

    # --- payloads that are kept apart

    def _whole(self, payload: bytes) -> bytes:
        if not is_reference(payload):
            return payload
        return b"".join(self._tables.blobs[blob_id][1] for blob_id in read_reference(payload).blob_ids)

    def _opened(self, event: Event) -> Event:
        name = PAYLOAD_FIELDS.get(type(event))
        payload = None if name is None else getattr(event, name)
        if name is None or payload is None:
            return event
        changed: dict[str, object] = {name: self._whole(payload)}
        if isinstance(event, ExecutionStarted):
            changed["carried"] = tuple(
                msgspec.structs.replace(each, payload=self._whole(each.payload)) for each in event.carried
            )
        return msgspec.structs.replace(event, **changed)

    # --- how it ended

    def _end(self, row: InstanceRow, chain: Chain) -> Iterator[str]:
        program, script = self._programs[row.instance_id], self._scripts.get(row.instance_id)
        was_cancelled = any(isinstance(event, CancelRequested) for event in chain[-1][1])
        match row.state:
            case State.COMPLETED:
                entries = self._entries(row)
                yield from self._oracle.problems(program, entries, was_cancelled=was_cancelled)
                if entries and entries[-1][0] == "cleaned" and not was_cancelled:
                    yield "it cleaned up, and nobody had cancelled it"
            case State.CANCELLED if not was_cancelled:
                yield "it was CANCELLED, and nobody had asked for it"
            case State.FAILED:
                yield from self._failure(row, chain[-1][1][-1], program, script)
            case State.TERMINATED if (row.instance_id, "terminate") not in self._driver.asked and row.parent is None:
                yield "it was TERMINATED, and nobody had asked for it"
            case _:
                pass
        yield from self._told(row)

    def _result_of(self, name: str) -> list[Entry] | None:
        row = self._tables.by_id.get(name)
        return None if row is None or row.result is None else self._entries(row)

    def _entries(self, row: InstanceRow) -> list[Entry]:
        assert row.result is not None
        entries: list[Entry] = msgspec.json.decode(self._whole(row.result))
        return entries

    def _failure(self, row: InstanceRow, last: Event, program: Program, script: Script | None) -> Iterator[str]:
        assert row.failure is not None
        if row.failure.type_name == "DeadlineExceeded" and script is not None and script.timeout is not None:
            return
        if not isinstance(last, ExecutionFailed):
            yield f"it failed, and its history ends with {type(last).__name__}"
        if row.failure.type_name != "FailedOnPurpose" or not fails(program):
            yield f"it failed: {row.failure.type_name}: {row.failure.message}\n{row.failure.traceback}"

    def _told(self, row: InstanceRow) -> Iterator[str]:
        """Whoever waited for it heard the same."""
        told = self._driver.ends.get(row.instance_id)
        if told is None:
            return
        if told[0] is not row.state:
            yield f"its client was told {told[0]}, and it is {row.state}"
        elif row.state is State.COMPLETED and told[1] != self._entries(row):
            yield f"its client was told {told[1]}"

    # --- letters

    def _letters(self, row: InstanceRow, chain: Chain) -> Iterator[str]:
        """What reached it is in history in that order, once, but for what came too late; what it received, too."""
        arrived = [*_with_start(chain[0][1])]
        arrived += [event.payload for _, events in chain for event in events if isinstance(event, SignalReceived)]
        accepted = self._referee.letters[row.instance_id]
        if arrived != accepted[: len(arrived)]:
            yield f"the letters {arrived} are in its history, and {accepted} were accepted"
        letters = [msgspec.json.decode(payload, type=Letter) for payload in arrived]
        yield from _out_of_order(letters)
        if row.state is State.COMPLETED:
            received = list(letters_in(self._entries(row)))
            yield from self._received(row.instance_id, received, [(each.sender, each.number) for each in letters])

    def _received(self, name: str, received: list[tuple[str, int]], arrived: list[tuple[str, int]]) -> Iterator[str]:
        steps = list(all_steps(steps_of(self._programs[name])))
        if any(step.kind == "group" for step in steps):  # a branch that was cancelled may have taken some
            is_right = len(set(received)) == len(received) and set(received) <= set(arrived)
        elif any(step.kind == "parallel" for step in steps):
            is_right = sorted(received) == sorted(arrived[: len(received)])
        else:
            is_right = received == arrived[: len(received)]
        if not is_right:
            yield f"it received {received}, and {arrived} had arrived"

    # --- families

    def _parent_close(self, row: InstanceRow, chain: Chain) -> Iterator[str]:
        if row.parent is None:
            return
        parent = self._tables.by_id.get(row.parent.instance_id)
        if parent is None:
            yield "its parent isn't there"
            return
        ended = {each.execution_id: each.ended_at for each in parent.past}
        parent_ended_at = ended.get(row.parent.execution_id, parent.ended_at or 0)
        assert row.ended_at is not None
        late = row.ended_at - parent_ended_at
        if row.parent_close is ParentClose.TERMINATE and late > 0:
            yield f"it ended {late} µs after its parent, which was to terminate it"
        was_cancelled = any(isinstance(event, CancelRequested) for _, events in chain for event in events)
        if row.parent_close is ParentClose.CANCEL and late > _LATE_MICROS and not was_cancelled:
            yield f"it went on for {late} µs after its parent, which was to cancel it"

    def _published(self, row: InstanceRow) -> Iterator[str]:
        if row.state is not State.COMPLETED:
            return
        entries = self._entries(row)
        if any(step.branches for step in steps_of(self._programs[row.instance_id])):
            return  # branches publish in an order that isn't known here
        last = next((entry[0] for entry in reversed(entries) if entry[1] == "published"), None)
        found = row.published.get("last")
        if last is not None and (found is None or msgspec.json.decode(self._whole(found)) != last):
            yield f"it published {last} last, and {found!r} is there"

    # --- the rest

    def _written(self) -> Iterator[str]:
        """What was acknowledged is there."""
        histories = {
            execution_id: events for row in self._tables.by_id.values() for execution_id, events in self._chain(row)
        }
        for (execution_id, position), event in self._referee.written.items():
            history = histories.get(execution_id, [])
            if position >= len(history) or history[position] != self._opened(event):
                yield f"{type(event).__name__} was written at {position} of {execution_id.hex()}, and isn't there"

    def _left_over(self) -> Iterator[str]:
        tables = self._tables
        for activity in tables.activities.values():
            yield f"activity {activity.spec.number} of {activity.instance.instance_id} is left over"
        for worker in tables.workers.values():
            if not worker.is_dead or worker.instances or worker.activities:
                yield f"worker {worker.start.name} is left over, with {len(worker.instances)} instances"
        for row in tables.by_id.values():
            if row.pending or row.token is not None or row.line is not None or row.wake_at is not None:
                yield f"{row.instance_id} has ended, and {stand_of(row)}"
        for name, schedule in (("deadlines", tables.deadlines), ("patience", tables.patience)):
            if len(schedule):
                yield f"{len(schedule)} {name} are left over"
        if tables.ends or tables.questions:
            yield "waiters are left over"


def emptiness_problems(tables: Tables) -> Iterator[str]:
    """What is left when everything has been removed, and what is remembered for a time has been forgotten."""
    for name in ("instances", "by_id", "children", "activities", "workers", "blobs", "questions", "ends", "receipts"):
        rest: Any = getattr(tables, name)
        if rest:
            yield f"{name} isn't empty after everything was removed: {len(rest)}"
    for name in ("instance_lines", "activity_lines"):
        for queue, lines in getattr(tables, name).items():
            if any(len(line) for line in lines.values()):
                yield f"somebody stands in {name} of {queue} after everything was removed"
    for queue, row in tables.queues.items():
        if row.running:
            yield f"queue {queue} counts {row.running} running activities after everything was removed"


def stand_of(row: InstanceRow) -> str:
    """Where an instance stands, for a report."""
    return (
        f"{row.state}, position {row.position}, pending {list(row.pending.values())}, due {row.wake_at}, token "
        f"{row.token}, worker {row.worker and row.worker.start.name}, claimed {row.claimed}, stuck {row.stuck_reason}, "
        f"suspended {row.suspended}, activities {[_activity(each) for each in row.activities.values()]}"
    )


def _activity(row: Any) -> str:
    return f"{row.spec.number} attempt {row.attempt} due {row.due_at} worker {row.worker and row.worker.start.name}"


def _with_start(events: Sequence[Event]) -> Iterator[bytes]:
    """The signals that came with the start of the instance; later executions carry what was in history before."""
    for event in events:
        if isinstance(event, ExecutionStarted):
            yield from (signal.payload for signal in event.carried)


def _out_of_order(letters: Sequence[Letter]) -> Iterator[str]:
    """Each sender's letters count up from 0."""
    following: dict[str, int] = {}
    for letter in letters:
        if letter.number != following.get(letter.sender, 0):
            yield f"letter {letter.number} of {letter.sender} came, where {following.get(letter.sender, 0)} was expected"
        following[letter.sender] = letter.number + 1
