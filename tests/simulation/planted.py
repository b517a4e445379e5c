"""Bugs to plant: each breaks one thing that perdure promises, as somebody might by mistake."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from perdure.backends.memory import appending, attempts, checkpoints, closing, messages, starting, store, tables
from perdure.engine import core, ending, execution
from perdure.model.transition import (
    Appended,
    AppendEvent,
    Checkpointed,
    CompleteActivityTask,
    Created,
    CreateInstance,
)
from perdure.worker import executions, keeper, life, seat
from perdure.workflows import signal_channel

Patch = pytest.MonkeyPatch


def store_without_tokens(patch: Patch) -> None:
    """A checkpoint is accepted whoever has the lease."""
    fence = checkpoints._broken_fence

    def broken(rows: Any, row: Any, transition: Any) -> str | None:
        reason = fence(rows, row, transition)
        return None if reason is not None and reason.startswith("another worker") else reason

    patch.setattr(checkpoints, "_broken_fence", broken)


def store_without_positions(patch: Patch) -> None:
    """A checkpoint is accepted wherever history is."""
    fence = checkpoints._broken_fence

    def broken(rows: Any, row: Any, transition: Any) -> str | None:
        reason = fence(rows, row, transition)
        return None if reason is not None and reason.startswith("history is at") else reason

    patch.setattr(checkpoints, "_broken_fence", broken)


def tokens_that_repeat(patch: Patch) -> None:
    """A counter that begins anew with each failover, say."""
    made = tables.Tables.__init__

    def init(self: Any, random_token: Callable[[], int], *others: Any) -> None:
        made(self, lambda: random_token() % 2, *others)

    patch.setattr(tables.Tables, "__init__", init)


def double_completion(patch: Patch) -> None:
    """The end of an attempt is accepted from a worker that has lost it."""
    complete = store._HANDLERS[CompleteActivityTask]

    def broken(rows: Any, transition: CompleteActivityTask, now: int) -> Any:
        row = rows.activities.get(transition.activity_key)
        if row is not None and row.token is not None:
            transition = CompleteActivityTask(
                activity_key=transition.activity_key, token=row.token, end=transition.end, offer=transition.offer
            )
        return complete(rows, transition, now)

    patch.setitem(store._HANDLERS, CompleteActivityTask, broken)


def message_ids_forgotten(patch: Patch) -> None:
    """What was sent again arrives again."""
    for module in (appending, messages, starting):
        patch.setattr(module, "has_seen", lambda *_: False)


def signals_acknowledged_and_lost(patch: Patch) -> None:
    """One in ten, after the answer."""
    append = store._HANDLERS[AppendEvent]
    count = 0

    def broken(rows: Any, transition: AppendEvent, now: int) -> Any:
        nonlocal count
        count += 1
        return Appended() if count % 10 == 0 else append(rows, transition, now)

    patch.setitem(store._HANDLERS, AppendEvent, broken)


def signals_lost_at_continue_as_new(patch: Patch) -> None:
    """The unread ones."""
    patch.setattr(ending, "_unread_signals", lambda _: ())


def arrivals_lost_at_continue_as_new(patch: Patch) -> None:
    """Those that came since the claim."""
    patch.setattr(closing, "carries_over", lambda _: False)


def signals_newest_first(patch: Patch) -> None:
    """Those that came early."""

    def put(self: Any, payload: bytes) -> None:
        self.payloads.appendleft(payload)
        self.receivers.wake_next()

    patch.setattr(signal_channel.SignalBuffer, "put", put)


def parents_not_told(patch: Patch) -> None:
    """Of the end of a sub-workflow."""
    patch.setattr(closing, "_tell_parent", lambda *_: None)


def parent_close_ignored(patch: Patch) -> None:
    """Sub-workflows go on whatever becomes of their parents."""
    patch.setattr(closing, "_close_children", lambda *_: [])


def timers_too_early(patch: Patch) -> None:
    """By a twentieth of a second."""
    fire = execution.Execution._fire_timers

    def broken(self: Any, checkpoint: Any, until: int, now: int) -> None:
        fire(self, checkpoint, until + 50_000, now)

    patch.setattr(execution.Execution, "_fire_timers", broken)


def chance_that_replay_does_not_repeat(patch: Patch) -> None:
    """ctx.random is the machine's."""
    patch.setattr(core.Core, "random", lambda _: random.Random())


def executions_ahead_of_the_store(patch: Patch) -> None:
    """A checkpoint of which nobody knows whether it was written, and its execution stays in memory."""

    def broken(self: Any, at: Any, *_: Any) -> None:
        self._advance(at)

    patch.setattr(executions.Executions, "_commit_failed", broken)


def results_lost_with_their_checkpoint(patch: Patch) -> None:
    """A fused result isn't sent alone when its checkpoint fails."""
    patch.setattr(executions.Executions, "_send_alone", lambda *_: None)


def results_of_the_former_execution(patch: Patch) -> None:
    """They reach the one that continue-as-new began (the simulation found this one in the library)."""
    patch.setattr(seat.Seat, "sort_out", lambda self, work: (work, ()))


def leases_of_lost_answers_kept(patch: Patch) -> None:
    """Nobody knows that the worker has them, not even the worker."""
    patch.setattr(life.Life, "_uncertain", lambda _: None)


def work_after_the_lease(patch: Patch) -> None:
    """A worker that nobody hears of works on."""

    def lose(self: Any, *_: Any, **__: Any) -> None:
        self._is_lost = True

    patch.setattr(keeper.Keeper, "lose", lose)
    patch.setattr(keeper.Keeper, "is_held", property(lambda _: True))


def first_steps_without_their_messages(patch: Patch) -> None:
    """Neither signals nor sub-workflows leave before the second checkpoint."""
    write = checkpoints.write_checkpoint

    def broken(rows: Any, row: Any, step: Any, encoded: bytes, now: int) -> Checkpointed:
        silent = msgspec.structs.replace(step.checkpoint, messages=())
        return write(rows, row, msgspec.structs.replace(step, checkpoint=silent), encoded, now)

    patch.setattr(starting, "write_checkpoint", broken)


def first_steps_taken_again(patch: Patch) -> None:
    """A start that comes twice hands its lease out twice."""
    begin = store._HANDLERS[CreateInstance]

    def broken(rows: Any, transition: CreateInstance, now: int) -> Any:
        row = rows.by_id.get(transition.instance_id)
        outcome = begin(rows, transition, now)
        if row is None or transition.first_step is None or not isinstance(outcome, Created) or row.token is None:
            return outcome
        return msgspec.structs.replace(outcome, token=row.token, first=Checkpointed())

    patch.setitem(store._HANDLERS, CreateInstance, broken)


def open_attempts_given_back(patch: Patch) -> None:
    """What was left to somebody outside is begun again."""

    def give_back(rows: Any, row: Any, elapsed: int, now: int) -> None:
        attempts._give_back(rows, row, now + 3_000_000, now)

    patch.setattr(attempts, "_open", give_back)


BUGS: list[Callable[[Patch], None]] = [
    store_without_tokens,
    store_without_positions,
    tokens_that_repeat,
    double_completion,
    message_ids_forgotten,
    signals_acknowledged_and_lost,
    signals_lost_at_continue_as_new,
    arrivals_lost_at_continue_as_new,
    signals_newest_first,
    parents_not_told,
    parent_close_ignored,
    timers_too_early,
    chance_that_replay_does_not_repeat,
    executions_ahead_of_the_store,
    results_lost_with_their_checkpoint,
    results_of_the_former_execution,
    leases_of_lost_answers_kept,
    work_after_the_lease,
    open_attempts_given_back,
]

BUGS_OF_FIRST_STEPS: list[Callable[[Patch], None]] = [first_steps_without_their_messages, first_steps_taken_again]
