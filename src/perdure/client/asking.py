"""Queries: a question to a workflow's handler, asked until somebody can answer it or time is up."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.repeating import repeat
from perdure.clock import Clock
from perdure.errors import ConfigurationError, FailureError, HandlerNotFound, NotAnswered, PayloadTooLarge, QueryFailed
from perdure.model.failure import Failure
from perdure.model.names import check_name
from perdure.model.reply import LONGEST_ASKED, AskAgain, NotHandled, Query, Raised, Replied, Reply, Unreadable
from perdure.serialization.failures import to_exception
from perdure.serialization.payloads import Payloads

QUERY_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5


class Call(msgspec.Struct, frozen=True):
    """A handler's name, its arguments as they are stored, and how its result is read."""

    name: str
    arguments: bytes
    decode_result: Callable[[bytes], Any]


class Way(Protocol):
    """How a query gets to who has the execution."""

    @property
    def backend(self) -> Backend: ...

    async def _ask(self, instance_id: str, query: Query) -> Reply | None: ...


class Asking:
    """Reads and writes what is asked with the types and exceptions of an App."""

    def __init__(self, app: App | None, payloads: Payloads, clock: Clock) -> None:
        self._exceptions: Mapping[str, type[Exception]] = {} if app is None else app.exceptions
        self._payloads = payloads
        self._clock = clock

    def call(self, handler: str | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """A call of the handler of this name; a method says types as well. Raises ArgumentsError, EncodeError."""
        if isinstance(handler, str):
            return Call(
                check_name(handler, "a handler's name"), self._payloads.encode(list(args)), self._payloads.decode
            )
        if inspect.ismethod(handler):
            raise ConfigurationError(
                f"{handler!r} is one object's: name the method by its class, as in Checkout.status"
            )
        schema = self._payloads.call(handler, skip=1)
        return Call(handler.__name__, schema.encode(args, kwargs).payload, schema.decode_result)

    def cause(self, failure: Failure) -> BaseException:
        """The exception, rebuilt where its type is known."""
        return to_exception(failure, self._exceptions, FailureError, self._payloads)

    async def query(self, way: Way, instance_id: str, call: Call, seconds: float) -> Any:
        """The handler's result. Raises HandlerNotFound, QueryFailed, NotAnswered, InstanceNotFound, PayloadTooLarge."""
        size = len(call.arguments)
        if size > LONGEST_ASKED:
            message = f"the arguments of query {call.name!r} have {size:,} bytes, {LONGEST_ASKED:,} are allowed"
            raise PayloadTooLarge(message, size, LONGEST_ASKED)
        ends_at = self._clock.monotonic() + seconds
        pause = _FIRST_PAUSE_SECONDS
        while (left := ends_at - self._clock.monotonic()) > 0:
            reply = await way._ask(instance_id, Query(call.name, call.arguments, left))
            if reply is not None and not isinstance(reply, AskAgain):
                return self._result(reply, instance_id, call)
            if pause == _FIRST_PAUSE_SECONDS:
                await repeat(lambda: way.backend.read_instance(instance_id))  # or there is none
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        raise await not_answered(way.backend, instance_id, f"query {call.name!r}", seconds)

    def _result(self, reply: Reply, instance_id: str, call: Call) -> Any:
        if isinstance(reply, Replied):
            return call.decode_result(reply.result)
        if isinstance(reply, NotHandled):
            raise not_handled(reply, instance_id, f"query {call.name!r}")
        assert isinstance(reply, Raised | Unreadable)
        failure = reply.failure
        said = f"{failure.type_name}: {failure.message}"
        if isinstance(reply, Raised):
            problem = f"query {call.name!r} of instance {instance_id!r} raised {said}"
        else:
            problem = f"instance {instance_id!r} can't be asked: its history doesn't lead to its state with today's code: {said}"
        raise QueryFailed(problem, instance_id) from self.cause(failure)


def not_handled(reply: NotHandled, instance_id: str, what: str) -> HandlerNotFound:
    known = ", ".join(sorted(reply.known)) or "none so far"
    return HandlerNotFound(
        f"{what} has no handler in instance {instance_id!r}; its workflow has {known}", instance_id, reply.known
    )


async def not_answered(store: Backend, instance_id: str, what: str, seconds: float) -> NotAnswered:
    """The error that says who could have answered. Raises InstanceNotFound."""
    instance = await repeat(lambda: store.read_instance(instance_id))
    workers = await repeat(store.list_workers)
    queue = instance.queue
    able = tuple(worker.worker for worker in workers if worker.is_alive and queue in worker.workflow_queues)
    whose = f"workflow {instance.workflow!r} on queue {queue!r}"
    if able:
        who = f"live workers of that queue: {', '.join(able)}; does one of them know the workflow, and isn't blocked?"
    else:
        who = "no live worker serves that queue: start one"
    stands = "" if instance.stuck is None else f"; the instance is stuck: {instance.stuck.reason}"
    return NotAnswered(
        f"{what} of instance {instance_id!r} ({whose}) wasn't answered in {seconds:g} s; {who}{stands}",
        instance_id,
        queue,
        able,
    )
