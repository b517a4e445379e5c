"""Executions that are made from history in order to be asked: they have no lease, and issue nothing.

- All who ask about an instance while its replica is made wait for it: however many ask at once, a history is replayed once. An
  answer tells of all that was durable when its question came: who asks while the store is being read is answered after the next look.
- A few replicas stay for a while, where executions may stay in memory at all: the next question then costs a look at the
  instance, and what its history has got since.
- Workflow tasks go first. A history is replayed in slices of a millisecond, one slice in a turn of the loop, whatever the number
  and length of the histories. While a step is under way the loop is left alone for several times as long: with it the thread
  that writes, which needs Python's lock many times for each batch.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.backends.weight import whole
from perdure.clock import Clock
from perdure.engine.apart import InputApart
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.errors import InstanceNotFound, PayloadTooLarge, StoreCorrupt, StoreError
from perdure.model.event import Event
from perdure.model.instance import Instance
from perdure.model.reply import LONGEST_ASKED, AskAgain, Query, Raised, Replied, Reply, Unreadable
from perdure.observability.logging import Loggers, text_of
from perdure.serialization.failures import to_failure
from perdure.serialization.saved import SavedHistory, task_of
from perdure.worker.backoff import HOPELESS
from perdure.workflows.definition import Workflow

_SLICE_SECONDS = 0.001
_PAUSE_SECONDS = 0.004
"""After a slice, while there are workflow tasks."""
_BUSY_SECONDS = 0.0005
_AT_ONCE = 4
"""Histories that are read and replayed."""
_MOST_KEPT = 16
_KEPT_SECONDS = 10.0
_PAGE = 1000

Tell = Callable[[Reply], object]


class _Asked:
    __slots__ = ("ends_at", "query", "tell")

    def __init__(self, query: Query, ends_at: float, tell: Tell) -> None:
        self.query = query
        self.ends_at = ends_at
        self.tell = tell


class _Replica:
    """One instance's."""

    __slots__ = ("asked", "execution", "expires_at", "instance_id")

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.asked: list[_Asked] = []
        self.execution: Execution | None = None
        self.expires_at = 0.0

    def close(self) -> None:
        if self.execution is not None:
            self.execution.close()
            self.execution = None


class Replicas:
    """Those of one worker's life."""

    def __init__(
        self,
        backend: Backend,
        app: App,
        *,
        limits: Limits,
        most_kept: int,
        has_steps: Callable[[], bool],
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        loggers: Loggers,
    ) -> None:
        """`has_steps`: whether workflow tasks are under way."""
        self._backend = backend
        self._app = app
        self._limits = limits
        self._most_kept = min(most_kept, _MOST_KEPT)
        self._has_steps = has_steps
        self._clock = clock
        self._spawn = spawn
        self._loggers = loggers
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._turn = asyncio.Lock()
        self._asked: dict[str, _Replica] = {}
        self._kept: OrderedDict[str, _Replica] = OrderedDict()
        self._expiry: asyncio.TimerHandle | None = None

    def ask(self, instance_id: str, query: Query, tell: Tell) -> None:
        """Have the query answered, if that can be done in its time."""
        asked = _Asked(query, self._clock.monotonic() + query.seconds, tell)
        replica = self._asked.get(instance_id)
        if replica is not None:
            replica.asked.append(asked)
            return
        replica = self._asked[instance_id] = self._kept.pop(instance_id, _Replica(instance_id))
        replica.asked.append(asked)
        self._spawn(self._answer(replica))

    def query(self, execution: Execution, query: Query) -> Reply:
        """What the execution says, if that isn't too long."""
        reply = execution.query(query.name, query.arguments)
        if not isinstance(reply, Replied) or len(reply.result) <= LONGEST_ASKED:
            return reply
        message = f"the answer to query {query.name!r} has {len(reply.result):,} bytes, {LONGEST_ASKED:,} are allowed"
        return Raised(to_failure(PayloadTooLarge(message, len(reply.result), LONGEST_ASKED), self._app.payloads))

    def drop_all(self) -> None:
        """Take them out of memory, and keep no more."""
        self._most_kept = 0
        self._let_go(0)
        if self._expiry is not None:
            self._expiry.cancel()

    async def _answer(self, replica: _Replica) -> None:
        try:
            async with self._places:
                while replica.asked:
                    await self._answer_those_who_ask(replica)
        except BaseException:
            replica.close()
            raise
        finally:
            del self._asked[replica.instance_id]
        if replica.execution is not None:
            self._keep(replica)

    async def _answer_those_who_ask(self, replica: _Replica) -> None:
        now, asked = self._clock.monotonic(), replica.asked
        replica.asked = []
        asked = [each for each in asked if each.ends_at > now]
        if not asked:
            return
        try:
            reply = await self._bring_up_to_date(replica)
        except HOPELESS:
            raise
        except InstanceNotFound:
            replica.close()
            return  # it was removed meanwhile, as its askers will find
        except StoreError as problem:
            self._loggers.worker.warning(
                "a query of %s isn't answered, its client asks again: %s",
                replica.instance_id,
                text_of(problem),
                extra={"instance_id": replica.instance_id},
            )
            return
        for place, each in enumerate(asked):
            if reply is None and replica.execution is None:
                replica.asked[:0] = asked[place:]
                return
            each.tell(reply or self._ask(replica, each.query))
            await asyncio.sleep(0)

    def _ask(self, replica: _Replica, query: Query) -> Reply:
        execution = replica.execution
        assert execution is not None
        try:
            reply = self.query(execution, query)
        except Exception as problem:
            reply = self._unreadable(replica, problem)
        if execution.is_tainted:
            replica.close()
        return reply

    def _unreadable(self, replica: _Replica, problem: Exception) -> Reply:
        """What makes an instance stuck."""
        replica.close()
        return Unreadable(to_failure(problem, self._app.payloads))

    async def _bring_up_to_date(self, replica: _Replica) -> Reply | None:
        """What to say in place of answers, if there is no execution to be asked."""
        instance = await self._backend.read_instance(replica.instance_id)
        definition = self._app.workflows.get(instance.workflow)
        if definition is None:  # continue-as-new went on as one that other workers know
            replica.close()
            return AskAgain()
        try:
            await self._catch_up(replica, instance, definition)
        except StoreCorrupt as problem:
            return self._unreadable(replica, problem)
        except StoreError:
            replica.close()
            raise
        except Exception as problem:
            return self._unreadable(replica, problem)
        return None

    async def _catch_up(self, replica: _Replica, instance: Instance, definition: Workflow[..., Any]) -> None:
        """Raises what makes an instance stuck, and StoreError."""
        task = task_of(SavedHistory.of(instance, instance.execution_id, ()))
        if replica.execution is not None and replica.execution.execution_id != task.execution_id:
            replica.close()
        for asks_for_inputs in (False, True):
            execution = replica.execution
            if execution is None:
                execution = replica.execution = Execution(
                    task,
                    definition,
                    self._app,
                    limits=self._limits,
                    logger=self._loggers.workflow,
                    outlasts_end=True,
                    asks_for_inputs=asks_for_inputs,
                )
            if execution.position >= instance.history_length:
                return
            events = await self._read_history(instance, execution.position)
            try:
                await self.replay(execution, events)
            except InputApart:
                if asks_for_inputs:
                    raise
                replica.close()
            else:
                return

    async def _read_history(self, instance: Instance, begin: int) -> Sequence[Event]:
        events: list[Event] = []
        while True:
            page = await self._backend.read_history(
                instance.instance_id,
                execution_id=instance.execution_id,
                after=begin + len(events) - 1,
                limit=_PAGE,
            )
            events += [each.event for each in page]
            if len(page) < _PAGE:
                return events

    async def replay(self, execution: Execution, events: Sequence[Event]) -> None:
        """Go on through its history, in slices. Raises what `Execution.replay` raises."""
        replaying, clock = execution.replaying(events), self._clock
        while True:
            async with self._turn:
                ends_at = clock.monotonic() + _SLICE_SECONDS
                missing: Sequence[bytes] = ()
                for missing in replaying:
                    if missing or clock.monotonic() >= ends_at:
                        break
                else:
                    return
                for reference in missing:
                    execution.hand_over({reference: await whole(self._backend, reference)})
                # With the turn: the others' slices are for later.
                await asyncio.sleep(0)
                if self._has_steps():
                    await asyncio.sleep(_PAUSE_SECONDS)
                elif clock.monotonic() - ends_at > _BUSY_SECONDS:  # the loop has other work, which takes many turns
                    await asyncio.sleep(_SLICE_SECONDS)

    # --- between questions

    def _keep(self, replica: _Replica) -> None:
        replica.expires_at = self._clock.monotonic() + _KEPT_SECONDS
        self._kept[replica.instance_id] = replica
        self._let_go(self._most_kept)
        if self._kept and self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._expire)

    def _let_go(self, most: int) -> None:
        while len(self._kept) > most:
            self._kept.popitem(last=False)[1].close()

    def _expire(self) -> None:
        self._expiry = None
        now = self._clock.monotonic()
        self._let_go(sum(each.expires_at > now for each in self._kept.values()))
        if self._kept:
            wait = next(iter(self._kept.values())).expires_at - now
            self._expiry = asyncio.get_running_loop().call_later(wait, self._expire)
