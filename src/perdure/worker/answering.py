"""Answers queries: from the execution in memory where there is one, else from its history (replicas.py).

- An answer tells of what is durable: an execution in memory is asked between its steps, when the last one is, and if the store
  has no more of it.
- A query delays the rest by its own run at most: one is answered in a turn of the loop.
- Instances that have ended, or are stuck, can be asked too: what is made from history is for reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from perdure.backends.protocol import Backend, Question
from perdure.engine.execution import Execution
from perdure.engine.whereabouts import Place
from perdure.errors import InstanceNotFound, StoreCorrupt, StoreError
from perdure.model.instance import Instance
from perdure.model.reply import LONGEST_ASKED, Query, Reply
from perdure.observability.logging import Log, text_of
from perdure.serialization.replies import decode_query, encode_reply
from perdure.worker.backoff import HOPELESS, Backoff
from perdure.worker.executions import Executions
from perdure.worker.replicas import Replicas, Tell

_LONGEST_WAIT_SECONDS = 60.0
"""Questions are told of, and again by housekeeping."""


class Answering:
    """The worker's ear for questions."""

    def __init__(
        self,
        backend: Backend,
        worker_key: int,
        executions: Executions,
        replicas: Replicas,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        logger: Log,
    ) -> None:
        self._backend = backend
        self._worker_key = worker_key
        self._executions = executions
        self._replicas = replicas
        self._spawn = spawn
        self._logger = logger
        self._backoff = Backoff(logger, "looking for questions")
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

    def places(self, instance_id: str) -> Sequence[Place]:
        """Where the execution is that is in memory; nowhere if there is none."""
        seat = self._executions.find(instance_id)
        return () if seat is None or seat.execution is None or seat.is_busy else seat.execution.places()

    def send(self, question_id: bytes, reply: Reply) -> None:
        """Give an answer. It is a hint: whoever waits for something durable looks for it as well."""
        self._spawn(self._send(question_id, reply))

    async def _send(self, question_id: bytes, reply: Reply) -> None:
        encoded = encode_reply(reply)
        if len(encoded) > LONGEST_ASKED:
            return  # an update's: it is published as well, and found there
        try:
            await self._backend.answer(question_id, encoded)
        except HOPELESS:
            raise
        except StoreError as problem:
            self._logger.info("an answer didn't reach the store, its client asks again: %s", text_of(problem))

    def _take(self, question: Question) -> None:
        try:
            query = decode_query(question.request)
        except StoreCorrupt as problem:  # of another release: its asker hears nothing, and says so
            self._logger.warning(
                "a question about %s can't be read, do clients run another release? %s",
                question.instance_id,
                text_of(problem),
                extra={"instance_id": question.instance_id},
            )
            return
        self._answer(question.instance_id, query, lambda reply: self.send(question.question_id, reply))

    def _answer(self, instance_id: str, query: Query, tell: Tell) -> None:
        if self._executions.find(instance_id) is None:
            self._replicas.ask(instance_id, query, tell)
        else:
            self._spawn(self._ask_in_memory(instance_id, query, tell))

    async def _ask_in_memory(self, instance_id: str, query: Query, tell: Tell) -> None:
        try:
            instance = await self._backend.read_instance(instance_id)
        except (InstanceNotFound, StoreError):
            instance = None

        def ask(execution: Execution | None) -> None:
            if execution is None or instance is None or _is_behind(execution, instance):
                self._replicas.ask(instance_id, query, tell)
            else:
                tell(self._replicas.query(execution, query))

        self._executions.ask_between_steps(instance_id, ask)


def _is_behind(execution: Execution, instance: Instance) -> bool:
    """Whether it has gone on elsewhere: an operator may take an instance from its worker, which isn't told."""
    is_same = execution.execution_id.hex() == instance.execution_id
    return not is_same or execution.position < instance.history_length
