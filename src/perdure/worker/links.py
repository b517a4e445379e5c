"""What executions ask of their worker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from perdure.model.reply import Reply
from perdure.model.task import ActivityTask
from perdure.worker.seat import FinalEnd, Step


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Ways from an instance to the rest of the worker."""

    spawn: Callable[[Coroutine[Any, Any, None]], object]
    record_alone: Callable[[ActivityTask, FinalEnd], object]
    """Record a result by itself."""
    tell_numbers: Callable[[bytes, Sequence[int]], None]
    """Cancel running activities of an execution, by their commands' numbers."""
    answer: Callable[[bytes, Reply], None]
    """Answer a question, by its id."""
    on_free: Callable[[], None]
    """A seat isn't busy any more."""
    uncertain: Callable[[], None]
    """The answer to an offer was lost."""
    failed: Callable[[Exception], None]
    """A fault, or what no waiting mends."""
    evicted: Callable[[], None]
    """An idle execution has made room for another one."""

    def follow(self, step: Step, execution_id: bytes) -> None:
        """The step is durable: tell those whom it concerns."""
        cancelled = step.checkpoint.cancelled_activities
        if cancelled:
            self.tell_numbers(execution_id, [cancel.number for cancel in cancelled if cancel.told])
        for question_id, reply in step.replies:
            self.answer(question_id, reply)
        if step.conclude is not None:
            step.conclude()

    def lose_sight(self, step: Step) -> None:
        """The step may be durable."""
        if step.offer is not None:
            self.uncertain()
        if step.conclude is not None:
            step.conclude()  # perhaps twice, but not never
