"""Updates: sent once, answered once, whatever dies between.

An update travels as a pending event. Its answer is *pushed*, by the question that the event names, and is *published* by the
instance if it was accepted; so an accepted one is found whoever was asleep. A refused one leaves nothing: if the push got lost as
well (its worker died between the refusal and the answer), nobody knows of it any more. To find that out, a *probe* stands in line
behind it: an execution that reaches the probe and doesn't know the update has refused it, or an earlier one has accepted it and
published the answer. If there is none, the update is sent anew, under the next message id, which is the same whoever sends it: so
that of many who repeat an update nobody has it handled twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from perdure.backends.protocol import Backend
from perdure.backends.weight import read_published
from perdure.client.asking import Asking, Call, not_answered, not_handled
from perdure.client.identity import derived_id
from perdure.client.refusals import check_taken
from perdure.client.repeating import repeat
from perdure.clock import Clock, Micros, random_id
from perdure.errors import StoreError, UpdateFailed, UpdateNotHandled, UpdateRefused
from perdure.model.event import UpdateRequested
from perdure.model.instance import State
from perdure.model.reply import (
    Known,
    NotHandled,
    NotKnown,
    Raised,
    Refused,
    Replied,
    Reply,
    published_key,
)
from perdure.model.transition import Appended, AppendEvent, NotAppended
from perdure.serialization.replies import decode_reply

_PUSHED_SECONDS = 600.0
"""So long an answer is waited for before it is only looked for."""
_PROBED_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PROBE_AFTER_SECONDS = 0.5
_LONGEST_UNPROBED_SECONDS = 300.0
_OUTAGE_SECONDS = 60.0


class Way(Protocol):
    """How events get to the store."""

    @property
    def backend(self) -> Backend: ...

    async def _send(self, asked: AppendEvent) -> Appended | NotAppended: ...


class Update:
    """One update of one instance, until its answer."""

    def __init__(
        self,
        way: Way,
        instance_id: str,
        call: Call,
        *,
        key: str | None,
        keep: Micros,
        timeout_seconds: float,
        clock: Clock,
    ) -> None:
        self._way = way
        self._instance_id = instance_id
        self._call = call
        self._is_named = key is not None
        self._update_id = random_id() if key is None else derived_id("update", instance_id, call.name, key)
        self._keep = keep
        self._seconds = timeout_seconds
        self._clock = clock
        self._ends_at = clock.monotonic() + timeout_seconds

    async def answer(self) -> Reply:
        """Raises InstanceNotFound, InstanceNotRunning, UpdateNotHandled, NotAnswered."""
        if self._is_named and (first := await self._published()) is not None:
            return first
        attempt = 0
        while True:
            attempt += 1
            question_id = random_id()
            pushed = asyncio.create_task(self._pushed(question_id, min(self._left(), _PUSHED_SECONDS)))
            try:
                await asyncio.sleep(0)  # the waiting begins before what leads to the answer is sent
                await self._send(self._event(question_id), derived_id("update", self._update_id, attempt.to_bytes(4)))
                reply = await self._wait(pushed)
            finally:
                pushed.cancel()
            if reply is not None:
                return reply

    async def _wait(self, pushed: asyncio.Task[Reply | None]) -> Reply | None:
        """The answer; None if the update was refused and nobody knows why any more."""
        began_at, pause, is_known = self._clock.monotonic(), _FIRST_PAUSE_SECONDS, False
        probe_after = 0.0 if self._is_named else _PROBE_AFTER_SECONDS
        while True:
            reply = await self._pushed_within(pushed, min(pause, self._left()))
            if reply is not None and not isinstance(reply, Known):
                return reply
            is_known = is_known or reply is not None
            if (found := await self._published()) is not None:
                return found
            await self._check_runs()
            if self._left() <= 0:
                raise await not_answered(
                    self._way.backend, self._instance_id, f"update {self._call.name!r}", self._seconds
                )
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            waited = self._clock.monotonic() - began_at
            if is_known or waited < probe_after:
                continue
            probe_after = min(
                2 * waited, waited + _LONGEST_UNPROBED_SECONDS
            )  # those who wait for a month fill no queue
            told = await self._probe(pushed)
            is_known = isinstance(told, Known)
            if isinstance(told, NotKnown):
                return await self._published()

    async def _pushed_within(self, pushed: asyncio.Task[Reply | None], seconds: float) -> Reply | None:
        await asyncio.wait((pushed,), timeout=seconds)
        reply = pushed.result() if pushed.done() else None
        if pushed.done() and (reply is None or isinstance(reply, Known)):
            await asyncio.sleep(seconds)  # no more will come
        return reply

    async def _probe(self, pushed: asyncio.Task[Reply | None]) -> Reply | None:
        """What has become of the update; None if the instance doesn't come to say so for the time being."""
        question_id = random_id()
        answer = asyncio.create_task(self._pushed(question_id, min(self._left(), _PROBED_SECONDS)))
        try:
            await asyncio.sleep(0)
            await self._send(self._event(question_id, is_probe=True), random_id())
            await asyncio.wait(
                (answer, pushed) if not pushed.done() else (answer,), return_when=asyncio.FIRST_COMPLETED
            )
            return answer.result() if answer.done() else None
        finally:
            answer.cancel()

    def _event(self, question_id: bytes, *, is_probe: bool = False) -> UpdateRequested:
        return UpdateRequested(
            at=0,
            update_id=self._update_id,
            name=self._call.name,
            arguments=b"" if is_probe else self._call.arguments,
            reply_to=question_id,
            is_probe=is_probe,
        )

    async def _send(self, event: UpdateRequested, message_id: bytes) -> None:
        asked = AppendEvent(message_id=message_id, instance_id=self._instance_id, event=event, keep=self._keep)
        answer = await self._way._send(asked)
        if event.is_probe and isinstance(answer, NotAppended):
            return  # it has just ended, as the next look will find
        check_taken(self._instance_id, answer)

    async def _pushed(self, question_id: bytes, seconds: float) -> Reply | None:
        try:
            reply = await self._way.backend.wait_for_answer(question_id, seconds)
        except StoreError:
            return None  # whoever looks for the answer hears of it
        return None if reply is None else decode_reply(reply)

    async def _published(self) -> Reply | None:
        store, key = self._way.backend, published_key(self._update_id)
        reply = await repeat(lambda: read_published(store, self._instance_id, key), patience_seconds=_OUTAGE_SECONDS)
        return None if reply is None else decode_reply(reply)

    async def _check_runs(self) -> None:
        """Raise UpdateNotHandled if the instance has ended without an answer."""
        store = self._way.backend
        instance = await repeat(lambda: store.read_instance(self._instance_id), patience_seconds=_OUTAGE_SECONDS)
        if instance.state.is_ended and await self._published() is None:
            raise unfinished(self._instance_id, self._call.name, instance.state)

    def _left(self) -> float:
        return max(0.0, self._ends_at - self._clock.monotonic())


def unfinished(instance_id: str, name: str, state: State | None = None) -> UpdateNotHandled:
    how = "ended, or continued as new," if state is None else f"ended ({state})"
    return UpdateNotHandled(
        f"instance {instance_id!r} {how} before it had handled update {name!r}; a workflow that waits for its updates says "
        "`await ctx.wait_until(lambda: not ctx.open_updates)` before it returns",
        instance_id,
    )


def result_of(reply: Reply, asking: Asking, instance_id: str, call: Call) -> Any:
    """The handler's result. Raises UpdateRefused, UpdateFailed, HandlerNotFound, UpdateNotHandled."""
    what = f"update {call.name!r}"
    if isinstance(reply, Replied):
        return call.decode_result(reply.result)
    if isinstance(reply, NotHandled):
        raise not_handled(reply, instance_id, what)
    if isinstance(reply, Refused | Raised):
        failure = reply.failure
        said = f"{failure.type_name}: {failure.message}"
        if isinstance(reply, Refused):
            refused = UpdateRefused(f"{what} was refused by instance {instance_id!r}: {said}", instance_id)
            raise refused from asking.cause(failure)
        raise UpdateFailed(f"{what} of instance {instance_id!r} failed: {said}", instance_id) from asking.cause(failure)
    raise unfinished(instance_id, call.name)
