"""Watches every request that reaches the store, and every answer, with a memory of its own.

What it remembers is little and simple: who got which token, which tokens are over, how far each history is. A store that
forgets a fence, or a worker that works on under a lease that is over, disagrees with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from perdure.backends.memory.tables import Tables
from perdure.model.checkpoint import Message, SendSignal
from perdure.model.event import Event, SignalReceived
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import (
    ActivityOpened,
    Administered,
    Appended,
    AppendEvent,
    Checkpointed,
    Claimed,
    ClaimTasks,
    CompleteActivityTask,
    CompleteWorkflowTask,
    Created,
    CreateInstance,
    Heartbeat,
    MarkStuck,
    Recorded,
    RecordHeartbeat,
    ReleaseInstance,
    Resume,
    Suspend,
    Terminate,
    Transition,
)
from perdure.testing.simulation.trace import Trace


class Referee:
    """The memory of one run. `judge` is called for each delivery, when the store has carried it out."""

    def __init__(self, tables: Tables, trace: Trace) -> None:
        self._tables = tables
        self._trace = trace
        self._instances: dict[int, tuple[int, int]] = {}
        """By key: the token of its last lease, and the worker that got it."""
        self._activities: dict[int, tuple[int, int]] = {}
        self._over: set[int] = set()
        """Tokens that were given back."""
        self._open: set[int] = set()
        """Tokens of attempts that no worker has and that end from outside."""
        self._consumed: set[tuple[int, int]] = set()
        self.written: dict[tuple[bytes, int], Event] = {}
        """By execution and position: what an accepted checkpoint has put there."""
        self.created: dict[str, bytes] = {}
        self.letters: defaultdict[str, list[bytes]] = defaultdict(list)
        """By instance: the payloads of the signals that it was given, in order. They differ from each other."""
        self._judges: Mapping[type, Callable[[str, Any, Any], None]] = {
            ClaimTasks: self._claim,
            CompleteWorkflowTask: self._checkpoint,
            CompleteActivityTask: self._end_of_activity,
            ReleaseInstance: self._given_back,
            MarkStuck: self._given_back,
            RecordHeartbeat: self._heartbeat,
            CreateInstance: self._create,
            AppendEvent: self._append,
            Suspend: self._administer,
            Resume: self._administer,
            Terminate: self._administer,
        }

    def execution_of(self, instance_key: int) -> bytes | None:
        """Its current execution."""
        row = self._tables.instances.get(instance_key)
        return None if row is None else row.execution_id

    def instance_of(self, transition: Transition[Any] | None) -> str | None:
        """The id of the instance that a transition is about, before it is carried out."""
        match transition:
            case CreateInstance() | AppendEvent():
                return transition.instance_id
            case CompleteWorkflowTask() | ReleaseInstance() | MarkStuck():
                return self._name(transition.instance_key)
            case CompleteActivityTask():
                row = self._tables.activities.get(transition.activity_key)
                return None if row is None else row.instance.instance_id
            case _:
                return None

    def judge(self, who: str, transition: Transition[Any], outcome: Any, execution_before: bytes | None) -> None:
        """A transition has been carried out. `execution_before` is that of its instance, before."""
        self._execution_before = execution_before
        judge = self._judges.get(type(transition))
        if judge is None:
            self._trace.note(who, type(transition).__name__, outcome)
        else:
            judge(who, transition, outcome)

    def retired(self, who: str, worker_key: int, running: Collection[tuple[int, int]]) -> None:
        """All but these has been given back, and what is open is nobody's."""
        self._trace.note(who, "retires with", len(running))
        self._over.update(token for token, worker in self._instances.values() if worker == worker_key)
        for key, (token, worker) in self._activities.items():
            if worker == worker_key and (key, token) not in running and token not in self._open:
                self._over.add(token)

    # --- each kind of transition

    def _claim(self, who: str, transition: ClaimTasks, outcome: Claimed) -> None:
        if outcome.workflow_tasks or outcome.activity_tasks or outcome.told:
            self._trace.note(who, "claims", *_named(outcome.workflow_tasks), *_named(outcome.activity_tasks))
        self._lease(outcome.workflow_tasks, outcome.activity_tasks, transition.worker_key)

    def _checkpoint(self, who: str, transition: CompleteWorkflowTask, outcome: Any) -> None:
        checkpoint, key = transition.checkpoint, transition.instance_key
        name = self._name(key)
        self._trace.note(who, "checkpoint", name, checkpoint.position, *_kinds(checkpoint.events), _brief(outcome))
        if not isinstance(outcome, Checkpointed):
            return
        self._check_lease(self._instances.get(key), transition.token, f"a checkpoint of {name}")
        for fused in transition.fused:
            self._check_lease(self._activities.get(fused.activity_key), fused.token, f"a fused result for {name}")
            self._over.add(fused.token)
        self._check_once(key, checkpoint.consumed, name)
        assert self._execution_before is not None
        self._write(self._execution_before, checkpoint.position, checkpoint.events, name)
        self._deliver_all(checkpoint.messages)
        if transition.release or checkpoint.closing is not None:
            self._over.add(transition.token)
        offer = transition.offer
        tasks = () if outcome.workflow_task is None else (outcome.workflow_task,)
        self._lease(tasks, outcome.activities, 0 if offer is None else offer.worker_key)

    def _check_once(self, key: int, consumed: Iterable[int], name: str) -> None:
        for pending_id in consumed:
            if (key, pending_id) in self._consumed:
                self._trace.violated(f"event {pending_id} of {name} was applied twice")
            self._consumed.add((key, pending_id))

    def _write(self, execution_id: bytes, position: int, events: Iterable[Event], name: str) -> None:
        for place, event in enumerate(events, position):
            if (execution_id, place) in self.written:
                self._trace.violated(f"position {place} of {name} was written twice")
            self.written[execution_id, place] = event

    def _deliver_all(self, messages: Iterable[Message]) -> None:
        for message in messages:
            target = self._tables.by_id.get(message.instance_id)
            if isinstance(message, SendSignal) and target is not None and message.message_id in target.receipts:
                self._take_letter(message.instance_id, message.signal.payload)

    def _end_of_activity(self, who: str, transition: CompleteActivityTask, outcome: Any) -> None:
        key = transition.activity_key
        self._trace.note(who, "end", type(transition.end).__name__, key % 10_000, _brief(outcome))
        if not isinstance(outcome, Recorded):
            return
        self._check_lease(self._activities.get(key), transition.token, f"the end of activity {key}")
        (self._open if isinstance(transition.end, ActivityOpened) else self._over).add(transition.token)
        if outcome.workflow_task is not None and transition.offer is not None:
            self._lease((outcome.workflow_task,), (), transition.offer.worker_key)

    def _given_back(self, who: str, transition: ReleaseInstance | MarkStuck, outcome: bool) -> None:
        name = self._name(transition.instance_key)
        reason = transition.reason if isinstance(transition, MarkStuck) else ""
        self._trace.note(who, type(transition).__name__, name, reason, outcome)
        if outcome:
            self._check_lease(self._instances.get(transition.instance_key), transition.token, f"a release of {name}")
            self._over.add(transition.token)
            if isinstance(transition, MarkStuck):
                self._trace.violated(f"{name} was marked stuck: {reason}")

    def _heartbeat(self, who: str, transition: RecordHeartbeat, outcome: Heartbeat) -> None:
        if outcome.is_held:
            self._check_lease(self._activities.get(transition.activity_key), transition.token, "a heartbeat")

    def _create(self, who: str, transition: CreateInstance, outcome: Any) -> None:
        self._trace.note(who, "start", transition.instance_id, _brief(outcome))
        if (
            isinstance(outcome, Created)
            and self.created.setdefault(transition.instance_id, outcome.execution_id) != outcome.execution_id
        ):
            row = self._tables.by_id[transition.instance_id]
            if row.execution_id != outcome.execution_id:
                self._trace.violated(f"{transition.instance_id} was created twice")
        for signal in transition.signals:
            self._take_letter(transition.instance_id, signal.payload)
        if isinstance(outcome, Created) and outcome.first is not None:
            self._first_step(transition, outcome, outcome.first)

    def _first_step(self, transition: CreateInstance, outcome: Created, first: Checkpointed) -> None:
        """It was taken with its start."""
        step, name, key = transition.first_step, transition.instance_id, outcome.instance_key
        if step is None or step.offer is None:  # no program of the simulation forks
            self._trace.violated(f"{name} was begun with a first step that nobody had taken")
            return
        worker_key = step.offer.worker_key
        if not self._is_alive(worker_key):
            self._trace.violated(f"the first step of {name} was taken from a worker that had been taken for dead")
        self._write(transition.execution_id, 0, step.checkpoint.events, name)
        self._deliver_all(step.checkpoint.messages)
        if outcome.token:
            self._check_free(self._instances.get(key), outcome.token, f"instance {name}")
            self._instances[key] = (outcome.token, worker_key)
        self._lease(() if first.workflow_task is None else (first.workflow_task,), first.activities, worker_key)

    def _append(self, who: str, transition: AppendEvent, outcome: Any) -> None:
        self._trace.note(who, type(transition.event).__name__, transition.instance_id, _brief(outcome))
        if isinstance(outcome, Appended) and isinstance(transition.event, SignalReceived):
            self._take_letter(transition.instance_id, transition.event.payload)
        if isinstance(outcome, Appended) and outcome.workflow_task is not None and transition.offer is not None:
            self._lease((outcome.workflow_task,), (), transition.offer.worker_key)

    def _take_letter(self, instance_id: str, payload: bytes) -> None:
        letters = self.letters[instance_id]
        if payload not in letters:
            letters.append(payload)

    def _administer(self, who: str, transition: Suspend | Resume | Terminate, outcome: Any) -> None:
        self._trace.note(who, type(transition).__name__, transition.instance_id, _brief(outcome))
        row = self._tables.by_id.get(transition.instance_id)
        if isinstance(outcome, Administered) and row is not None and row.token is None and row.key in self._instances:
            self._over.add(self._instances[row.key][0])

    # --- leases

    def _lease(self, tasks: Iterable[WorkflowTask], activities: Iterable[ActivityTask], worker_key: int) -> None:
        for task in tasks:
            self._check_free(self._instances.get(task.instance_key), task.token, f"instance {task.instance_id}")
            self._instances[task.instance_key] = (task.token, worker_key)
        for activity in activities:
            what = f"activity {activity.number} of {activity.instance_id}"
            self._check_free(self._activities.get(activity.activity_key), activity.token, what)
            self._activities[activity.activity_key] = (activity.token, worker_key)
            self._check_limit(activity.queue)

    def _check_limit(self, queue: str) -> None:
        limits = self._tables.queues[queue].limits
        if limits is None or limits.at_once is None:
            return
        running = sum(row.worker is not None and row.queue == queue for row in self._tables.activities.values())
        if running > limits.at_once:
            self._trace.violated(f"{running} activities of queue {queue} run at once, and {limits.at_once} may")

    def _check_free(self, before: tuple[int, int] | None, token: int, what: str) -> None:
        """Who had it before mustn't have it any more."""
        if before is None or before[0] == token or before[0] in self._over:
            return
        if before[0] in self._open:
            self._trace.violated(f"{what} was leased while it was open")
        elif self._is_alive(before[1]):
            self._trace.violated(f"{what} was leased while a living worker holds it")

    def _check_lease(self, held: tuple[int, int] | None, token: int, what: str) -> None:
        if held is None or held[0] != token:
            self._trace.violated(f"{what} was accepted under a token that isn't the last one")
        elif token in self._over:
            self._trace.violated(f"{what} was accepted under a token that had been given back")
        elif token not in self._open and not self._is_alive(held[1]):
            self._trace.violated(f"{what} was accepted from a worker that had been taken for dead")

    def _is_alive(self, worker_key: int) -> bool:
        worker = self._tables.workers.get(worker_key)
        return worker is not None and not worker.is_dead

    def _name(self, instance_key: int) -> str:
        row = self._tables.instances.get(instance_key)
        return "?" if row is None else row.instance_id


def _kinds(events: Iterable[Event]) -> list[str]:
    return [
        f"{type(event).__name__}({number})" if (number := getattr(event, "number", None)) else type(event).__name__
        for event in events
    ]


def _named(tasks: Iterable[WorkflowTask | ActivityTask]) -> list[str]:
    return [
        f"{task.instance_id}@{task.position}"
        if isinstance(task, WorkflowTask)
        else f"{task.instance_id}#{task.number}.{task.attempt}"
        for task in tasks
    ]


def _brief(outcome: object) -> str:
    """An outcome without payloads."""
    if isinstance(outcome, Checkpointed):
        tasks = () if outcome.workflow_task is None else (outcome.workflow_task,)
        return "-> " + " ".join(["ok", *_named(tasks), *_named(outcome.activities)])
    if isinstance(outcome, Recorded | Appended):
        return "-> " + " ".join(["ok", *_named(() if outcome.workflow_task is None else (outcome.workflow_task,))])
    if isinstance(outcome, Created) and outcome.first is not None:
        return f"with its first step {_brief(outcome.first)}"
    return f"-> {outcome}"
