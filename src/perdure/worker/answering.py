"""Answers queries: from the execution in memory where there is one, else from its history.

- An answer tells of what is durable: an execution in memory is asked between its steps, when the last one is.
- A query delays the rest by its own run at most: one is answered in a turn of the loop, and a history is replayed in slices of a
  millisecond, one slice in a turn, whatever the number and length of the histories; a busy loop is left alone for as long.
- What is made from history is for reading: it has no lease, issues nothing, and is closed when it has answered. So instances that
  have ended, or are stuck, can be asked too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from perdure.app import App
from perdure.backends.protocol import Backend, Question
from perdure.clock import Clock, to_micros
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.errors import InstanceNotFound, StoreCorrupt, StoreError
from perdure.model.event import Event
from perdure.model.instance import Instance
from perdure.model.reply import AskAgain, Query, Reply, Unreadable
from perdure.model.task import WorkflowTask
from perdure.serialization.failures import to_failure
from perdure.serialization.replies import decode_query, encode_reply
from perdure.worker.backoff import HOPELESS, Backoff
from perdure.worker.executions import Executions

_LONGEST_WAIT_SECONDS = 10.0
"""Questions are short-lived, and told of: this is for one whose notice was lost."""
_SLICE_SECONDS = 0.001
_BUSY_SECONDS = 0.0005
_AT_ONCE = 4
"""Histories in memory for queries."""
_PAGE = 1000

Tell = Callable[[Reply], object]


class Answering:
    """The worker's ear for questions."""

    def __init__(
        self,
        backend: Backend,
        worker_key: int,
        app: App,
        executions: Executions,
        *,
        limits: Limits,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        logger: logging.Logger,
    ) -> None:
        self._backend = backend
        self._worker_key = worker_key
        self._app = app
        self._executions = executions
        self._limits = limits
        self._clock = clock
        self._spawn = spawn
        self._logger = logger
        self._backoff = Backoff(logger, "looking for questions")
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._turn = asyncio.Lock()
        self.is_stopped = False
        """Set it, and no more questions are taken."""

    async def run(self) -> None:
        """Until stopped, or until no waiting helps, which the worker's next claim says."""
        while not self.is_stopped:
            try:
                await self._backend.wait_for_questions(self._worker_key, _LONGEST_WAIT_SECONDS)
                questions = await self._backend.take_questions(self._worker_key)
            except HOPELESS:
                return
            except StoreError as problem:
                await asyncio.sleep(self._backoff.failed(problem))
                continue
            self._backoff.worked()
            for question in questions:
                self._take(question)
                await asyncio.sleep(0)

    def ask(self, instance_id: str, query: Query) -> asyncio.Future[Reply] | None:
        """For a client in this process; None if the execution isn't in memory here."""
        if self._executions.find(instance_id) is None:
            return None
        told: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._answer(instance_id, query, lambda reply: None if told.done() else told.set_result(reply))
        return told

    def send(self, question_id: bytes, reply: Reply) -> None:
        """Give an answer. It is a hint: whoever waits for something durable looks for it as well."""
        self._spawn(self._send(question_id, reply))

    async def _send(self, question_id: bytes, reply: Reply) -> None:
        try:
            await self._backend.answer(question_id, encode_reply(reply))
        except HOPELESS:
            raise
        except StoreError as problem:
            self._logger.info("an answer didn't reach the store: %r", problem)

    def _take(self, question: Question) -> None:
        try:
            query = decode_query(question.request)
        except StoreCorrupt as problem:  # of another release: its asker hears nothing, and says so
            self._logger.warning("a question about %s can't be read: %s", question.instance_id, problem)
            return
        self._answer(question.instance_id, query, lambda reply: self.send(question.question_id, reply))

    def _answer(self, instance_id: str, query: Query, tell: Tell) -> None:
        ends_at = self._clock.monotonic() + query.seconds

        def ask(execution: Execution | None) -> None:
            if execution is None:
                self._spawn(self._answer_from_history(instance_id, query, ends_at, tell))
            else:
                tell(execution.query(query.name, query.arguments))

        self._executions.ask_between_steps(instance_id, ask)

    # --- from history

    async def _answer_from_history(self, instance_id: str, query: Query, ends_at: float, tell: Tell) -> None:
        async with self._places:
            if self._clock.monotonic() >= ends_at:
                return
            try:
                tell(await self._read_and_ask(instance_id, query))
            except HOPELESS:
                raise
            except InstanceNotFound:
                return  # it was removed meanwhile, as its asker will find
            except StoreError as problem:
                self._logger.warning("a query of %s isn't answered: %s", instance_id, problem)

    async def _read_and_ask(self, instance_id: str, query: Query) -> Reply:
        instance = await self._backend.read_instance(instance_id)
        definition = self._app.workflows.get(instance.workflow)
        if definition is None:  # continue-as-new went on as one that other workers know
            return AskAgain()
        events = await self._read_history(instance)
        execution = Execution(_task_of(instance), definition, self._app, limits=self._limits, outlasts_end=True)
        try:
            await self._replay(execution, events)
            return execution.query(query.name, query.arguments)
        except Exception as problem:  # what makes an instance stuck
            return Unreadable(to_failure(problem, self._app.payloads))
        finally:
            execution.close()

    async def _read_history(self, instance: Instance) -> Sequence[Event]:
        events: list[Event] = []
        while True:
            page = await self._backend.read_history(
                instance.instance_id, execution_id=instance.execution_id, after=len(events) - 1, limit=_PAGE
            )
            events += [each.event for each in page]
            if len(page) < _PAGE:
                return events

    async def _replay(self, execution: Execution, events: Sequence[Event]) -> None:
        replaying, clock = execution.replaying(events), self._clock
        while True:
            async with self._turn:
                ends_at = clock.monotonic() + _SLICE_SECONDS
                for _ in replaying:
                    if clock.monotonic() >= ends_at:
                        break
                else:
                    return
                # With the turn: the others' slices are for later.
                await asyncio.sleep(0)
                if clock.monotonic() - ends_at > _BUSY_SECONDS:  # the loop has other work, which takes many turns
                    await asyncio.sleep(_SLICE_SECONDS)


def _task_of(instance: Instance) -> WorkflowTask:
    """The instance as its worker would have it, without a lease."""
    return WorkflowTask(
        instance_key=0,
        instance_id=instance.instance_id,
        execution_id=bytes.fromhex(instance.execution_id),
        workflow=instance.workflow,
        queue=instance.queue,
        priority=instance.priority,
        version=instance.version,
        parent=instance.parent,
        token=0,
        position=instance.history_length,
        history_bytes=instance.history_bytes,
        now=to_micros(instance.updated_at),
        pending=(),
        created_at=to_micros(instance.created_at),
        deadline_at=None if instance.deadline_at is None else to_micros(instance.deadline_at),
    )
