"""What a workflow answers while it runs: queries, which look, and updates, which history has.

A query's handler and an update's validator *only look*: they run between two events, outside of any drain, and nothing that they
do is recorded. So nothing that they do may matter to replay: commands, new tasks and chance are refused, and one that wakes a task
all the same (`event.set()`) has made the execution in memory of no use, which is then *tainted* and read again from history. That
an attribute was changed can't be seen.

An update's handler is a task of the workflow. Its beginning is an applied event (UpdateAccepted), which replay feeds without asking
the validator again; its end is a command (UpdateCompleted), which has a place in history among the others.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from perdure.engine.apart import whole
from perdure.engine.divergence import divergence
from perdure.engine.loop import entered
from perdure.engine.machines.update import UpdateMachine
from perdure.engine.tasks import DurableTask
from perdure.errors import ConfigurationError, NotInWorkflow
from perdure.model.event import UpdateAccepted, UpdateRequested
from perdure.model.names import check_name
from perdure.model.reply import AskAgain, Known, NotHandled, NotKnown, Raised, Refused, Replied, Reply
from perdure.serialization.failures import to_failure

if TYPE_CHECKING:
    from perdure.engine.core import Core
    from perdure.serialization.calls import CallSchema
    from perdure.serialization.payloads import Payloads

_ENDS = (Exception, asyncio.CancelledError, SystemExit)
"""What a handler may end with; the rest is the engine's."""


class Handler:
    """A function that answers. Its schema is made when it is first asked."""

    __slots__ = ("_schema", "function", "validator")

    def __init__(self, function: Callable[..., Any], validator: Callable[..., Any] | None = None) -> None:
        self.function = function
        self.validator = validator
        self._schema: CallSchema | None = None

    def schema(self, payloads: Payloads) -> CallSchema:
        if self._schema is None:
            method = getattr(self.function, "__func__", None)
            # A function of the workflow's own is another one in each execution: nothing is to remember it.
            self._schema = payloads.call_once(self.function) if method is None else payloads.call(method, skip=1)
        return self._schema


class Handlers:
    """Those of one execution, and its updates."""

    __slots__ = ("_answered", "_core", "_queries", "_updates", "running")

    def __init__(self, core: Core) -> None:
        self._core = core
        self._queries: dict[str, Handler] = {}
        self._updates: dict[str, Handler] = {}
        self._answered: set[bytes] = set()
        self.running: dict[bytes, bytes] = {}
        """Accepted updates whose handlers haven't ended, with the questions that their answers are for."""

    def add_query(self, handler: Callable[..., Any], name: str | None) -> None:
        self._queries[_name_of(handler, name, "query")] = Handler(_plain(handler, "a query's handler"))

    def add_update(self, handler: Callable[..., Any], validator: Callable[..., Any] | None, name: str | None) -> None:
        checked = None if validator is None else _plain(validator, "a validator")
        self._updates[_name_of(handler, name, "update")] = Handler(handler, checked)

    # --- queries

    def answer(self, name: str, arguments: bytes) -> Reply:
        """What a query's handler says of the state between two events."""
        core = self._core
        if core.main is None:
            return AskAgain()
        handler = self._queries.get(name)
        if handler is None:
            return NotHandled(tuple(self._queries))
        try:
            schema = handler.schema(core.payloads)
            args, kwargs = schema.decode(arguments)
            with _only_looking(core, f"the handler of query {name!r}"):
                result = schema.encode_result(_called(core, handler.function, args, kwargs))
        except _ENDS as problem:
            return Raised(to_failure(problem, core.payloads))
        return Replied(result)

    # --- updates

    def judge(self, event: UpdateRequested) -> Reply | None:
        """None if the update is accepted; what else is to be said of it."""
        core = self._core
        if event.update_id in self.running or event.update_id in self._answered:
            return Known()
        if event.is_probe:
            return NotKnown()
        handler = self._updates.get(event.name)
        if handler is None:
            return NotHandled(tuple(self._updates))
        try:
            args, kwargs = handler.schema(core.payloads).decode(whole(core, event.arguments))
            if handler.validator is not None:
                with _only_looking(core, f"the validator of update {event.name!r}"):
                    _called(core, handler.validator, args, kwargs)
        except _ENDS as problem:
            return Refused(to_failure(problem, core.payloads))
        return None

    def begin(self, event: UpdateAccepted) -> None:
        """The next drain begins the handler."""
        core = self._core
        handler = self._updates.get(event.name)
        if handler is None:
            raise divergence(
                history=f"update {event.name!r} was accepted",
                code=f"its handlers of updates here are {sorted(self._updates) or 'none'}",
                site=None,
            )
        assert core.main is not None
        self.running[event.update_id] = event.reply_to
        args, kwargs = handler.schema(core.payloads).decode(whole(core, event.arguments))
        handling = self._handle(handler, event, args, kwargs)
        context = core.main.own_context.copy()
        core.loop.adopt(DurableTask(handling, loop=core.loop, name=f"update {event.name}", context=context))

    async def _handle(
        self, handler: Handler, event: UpdateAccepted, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        core, result, failure = self._core, None, None
        try:
            value = handler.function(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
            result = handler.schema(core.payloads).encode_result(value)
        except _ENDS as problem:
            failure = to_failure(problem, core.payloads)
        del self.running[event.update_id]
        self._answered.add(event.update_id)
        UpdateMachine(core, event, result, failure)


def _called(core: Core, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    assert core.main is not None
    value = core.main.own_context.copy().run(function, *args, **kwargs)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise NotInWorkflow(f"{function!r} is to answer at once: it must be a plain function, without await")
    return value


@contextmanager
def _only_looking(core: Core, who: str) -> Generator[None, None, None]:
    loop = core.loop
    outer, loop.dying, core.looker = loop.dying, True, who
    awake = len(loop.ready)
    try:
        with entered(loop):
            yield
    finally:
        loop.dying, core.looker = outer, None
        if len(loop.ready) > awake:
            del loop.ready[awake:]
            core.is_tainted = True
    if core.is_tainted:
        raise NotInWorkflow(
            f"{who} woke a task of the workflow: it may look at the workflow's state and change nothing"
        )


def _plain(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise ConfigurationError(
            f"{what} looks and answers at once, and {function!r} is async: make it a plain function"
        )
    return function


def _name_of(handler: Callable[..., Any], name: str | None, kind: str) -> str:
    found = getattr(handler, "__name__", None) if name is None else name
    if not isinstance(found, str):
        raise ConfigurationError(f"{handler!r} has no name of its own: say ctx.on_{kind}(…, name=…)")
    return check_name(found, "the name of a handler")
