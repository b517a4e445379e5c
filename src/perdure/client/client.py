"""The client: all that a program can ask of a store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, overload

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.backends.connect import connect
from perdure.backends.joining.protocol import Joinable
from perdure.backends.protocol import Backend
from perdure.backends.weight import with_result
from perdure.client.activities import ActivityClient
from perdure.client.asking import QUERY_SECONDS, Asking, Call
from perdure.client.attempts import Attempts
from perdure.client.endings import Definition, Endings, definition_of
from perdure.client.filters import Filters, instance_filter
from perdure.client.handle import Handle
from perdure.client.identity import draw_instance_id
from perdure.client.listing import prune_instances
from perdure.client.queues import Queues
from perdure.client.refusals import check_taken, nobody
from perdure.client.repeating import repeat, repeat_and_tell
from perdure.client.schedules import ScheduleHandle, Schedules, put_schedule
from perdure.client.sending import Sending
from perdure.client.starting import check_registered, propagation_of
from perdure.client.transactional import TransactionalClient
from perdure.client.waiting import wait_for_outcome
from perdure.clock import Clock, SystemClock, duration_micros, random_id
from perdure.errors import ConfigurationError, InstanceNotFinished, StoreUsageError
from perdure.model.event import CancelRequested
from perdure.model.instance import Outcome, State
from perdure.model.names import check_name
from perdure.model.options import Duration
from perdure.model.reply import Query, Reply
from perdure.model.schedule import Schedule
from perdure.model.transition import (
    Appended,
    AppendEvent,
    Created,
    CreateInstance,
    Existing,
    NotAppended,
    NotRemoved,
    Remove,
    Resume,
    RetryActivityNow,
    Suspend,
    Terminate,
    Transition,
)
from perdure.observability.telemetry import Telemetry
from perdure.propagation import Propagator
from perdure.serialization.payloads import Payloads
from perdure.serialization.replies import decode_reply, encode_query
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow_of
from perdure.workflows.signal import Signal

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
D = TypeVar("D")
O = TypeVar("O")  # noqa: E741 - the outcome


class Client(ActivityClient):
    """Starts workflows and activities, signals them, waits for them and looks at them; it runs none itself.

    `store` is a URL, or a Backend, which stays its owner's: it must be open, and isn't closed. With an `app`, values are stored by
    its converters and codecs, and a workflow that it doesn't hold is refused. `propagators` carry context variables to what is
    started, `telemetry` traces starts and signals; an App has its own. An `idempotency_key` of a signal is remembered for `keep_keys`.

    What a method writes is durable when it returns. A store that can't be reached is asked again for some three seconds, and for a
    minute by who waits for an instance's end; then StoreUnavailable is raised. Each write carries an id: doing it again isn't doing
    it twice. Cancelling a call doesn't take back what was on its way.
    """

    def __init__(
        self,
        store: str | Backend,
        app: App | None = None,
        *,
        propagators: Sequence[Propagator] = (),
        telemetry: Telemetry | None = None,
        keep_keys: Duration = timedelta(days=7),
        clock: Clock | None = None,
    ) -> None:
        self._is_store_ours = isinstance(store, str)
        self._store = connect(store) if isinstance(store, str) else store
        self._app = app
        self._payloads = Payloads() if app is None else app.payloads
        self._endings = Endings(app, self._payloads)
        self._attempts = Attempts(app, self._payloads)
        self._clock: Clock = clock or SystemClock()
        propagation = propagation_of(app, propagators, telemetry)
        self._sending = Sending(app, self._payloads, propagation, telemetry, duration_micros(keep_keys), self._clock)
        self._asking = Asking(app, self._payloads, self._clock)
        self._is_open = False

    async def __aenter__(self) -> Self:
        if self._is_store_ours:
            await self._store.open()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        if self._is_store_ours:
            await self._store.close()

    @property
    def backend(self) -> Backend:
        """The open store. Raises ConfigurationError before `async with` and after it."""
        if not self._is_open:
            raise ConfigurationError("this client isn't open: use it inside `async with Client(…) as client:`")
        return self._store

    # starting

    async def start(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Handle[R]:
        """Start a workflow; options ride on it: `start(checkout.with_options(instance_id="order-7"), order)`.

        Without an id a new one is drawn: 32 hex digits, later ones sort later. An `idempotency_key` makes a repeated
        start the same one, until the instance is removed. Raises, with nothing recorded: ArgumentsError, EncodeError,
        PayloadTooLarge, RegistrationError; InstanceAlreadyExists, as `if_exists` says.
        """
        definition = workflow_of(workflow)
        return Handle(self, await self._start(definition, args, kwargs), definition)

    async def run(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Start a workflow and wait for its result. Cancelling this doesn't cancel the instance."""
        definition = workflow_of(workflow)
        result: R = await self._result(await self._start(definition, args, kwargs), definition, None)
        return result

    async def schedule(
        self,
        schedule: Schedule,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> ScheduleHandle:
        """Start a workflow whenever it is due: each time once, whoever works on this store, while a worker does.

        The runs have ids such as `nightly@2026-11-23T02:30:00Z`. Queue, priority, timeout, tags and retry ride on the workflow. If
        there is a schedule of this id, it follows what is said here from now on; the same again changes nothing, so that a program may
        say it at each start. Raises ArgumentsError, EncodeError, ConfigurationError, RegistrationError.
        """
        return await self._schedule(schedule, workflow_of(workflow), args, kwargs)

    @property
    def schedules(self) -> Schedules:
        """The schedules of this store."""
        return Schedules(self, self._clock)

    @overload
    def handle(self, instance_id: str) -> Handle[Any]: ...
    @overload
    def handle(self, instance_id: str, workflow: Activity[..., R]) -> Handle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: Callable[..., Coroutine[Any, Any, R]]) -> Handle[R]: ...
    def handle(self, instance_id: str, workflow: Callable[..., Any] | Activity[..., Any] | None = None) -> Handle[Any]:
        """A handle from an id, typed by the workflow, or by the activity that runs by itself. The store isn't asked."""
        check_name(instance_id, "an instance id")
        return Handle(self, instance_id, definition_of(workflow))

    def using(self, connection: object) -> TransactionalClient:
        """A client whose `start` and `signal` take place in the transaction that is open on a connection of yours.

        Order row and workflow commit together or not at all: `await client.using(session).start(checkout, order)`. It takes what
        leads to the store's own database: connections of the store's driver and others, and SQLAlchemy's connections and sessions.
        Raises StoreUsageError for another one, and for a store without transactions (memory, Redis).
        """
        store = self.backend
        if not isinstance(store, Joinable):
            raise StoreUsageError(
                f"{type(store).__name__} can't take part in a transaction of yours: client.using(…) is for stores in SQLite and SQL "
                f"servers. Here, commit first and start the workflow then, with an instance id, so that it can be repeated."
            )
        return TransactionalClient(self, store.join(connection))

    # the life of one instance

    @overload
    async def signal(
        self, instance_id: str, signal: Signal[None], value: None = None, *, idempotency_key: str | None = None
    ) -> None: ...
    @overload
    async def signal(
        self, instance_id: str, signal: Signal[T], value: T, *, idempotency_key: str | None = None
    ) -> None: ...
    async def signal(
        self, instance_id: str, signal: Signal[Any], value: Any = None, *, idempotency_key: str | None = None
    ) -> None:
        """Send a signal; it waits, in order, until the workflow receives it.

        A second signal of the same name with the same `idempotency_key` is taken for the first, whatever its value,
        for `keep_keys` and until the instance has ended. Raises EncodeError, InstanceNotFound, InstanceNotRunning.
        """
        await self._sending.signal(self, instance_id, signal, value, idempotency_key)

    async def cancel(self, instance_id: str, reason: str = "") -> None:
        """Ask the workflow to cancel: it gets CancelledError where it waits, and can clean up, or finish all the same.

        Cancelling again changes nothing. Raises InstanceNotFound, InstanceNotRunning.
        """
        await self._sending.append(self, instance_id, CancelRequested(at=0, reason=reason), random_id())

    async def terminate(self, instance_id: str, reason: str = "") -> None:
        """End the instance at once, without clean-up; its sub-workflows get their parent_close.

        Raises InstanceNotFound, InstanceNotRunning if it has ended in another way.
        """
        await self._administer(instance_id, Terminate(instance_id=instance_id, reason=reason))

    async def suspend(self, instance_id: str) -> None:
        """Hold the instance: what runs goes on to its end, nothing new of it begins until `resume`.

        Raises InstanceNotFound, InstanceNotRunning.
        """
        await self._administer(instance_id, Suspend(instance_id=instance_id))

    async def resume(self, instance_id: str) -> None:
        """Undo `suspend`, and try a stuck instance again at once. Raises InstanceNotFound, InstanceNotRunning."""
        await self._administer(instance_id, Resume(instance_id=instance_id))

    async def retry_activity(self, instance_id: str, number: int) -> None:
        """Begin the next attempt of an activity at once; `activities` gives its number.

        Raises InstanceNotFound, InstanceNotRunning.
        """
        await self._administer(instance_id, RetryActivityNow(instance_id=instance_id, number=number))

    async def remove(self, instance_id: str) -> None:
        """Remove everything of an ended instance; its id is free then. Raises InstanceNotFound, InstanceNotFinished."""
        store, transition = self._outside(), Remove(instance_id=check_name(instance_id, "an instance id"))
        answer, is_repetition = await repeat_and_tell(lambda: store.commit(transition))
        if not isinstance(answer, NotRemoved) or (answer.state is None and is_repetition):
            return
        if answer.state is None:
            raise nobody(instance_id, None)
        raise InstanceNotFinished(
            f"instance {instance_id!r} is still running: wait for its end, or terminate it, then remove it", instance_id
        )

    async def fork(self, instance_id: str, *, at_event: int, new_id: str | None = None) -> Handle[Any]:
        """Start another instance that begins with this one's history up to an event, with what the event led to.

        It goes on from there with today's code, beside this one: its activities that hadn't ended begin again, its timers stay. The
        client needs the App. Raises InstanceNotFound, InstanceAlreadyExists, NonDeterminismError, ConfigurationError.
        """
        from perdure.client import forking  # and the engine with it, which a client has no other use for

        source = await forking.read_source(self._outside(), instance_id, at_event)
        fork_id = draw_instance_id(self._clock) if new_id is None else check_name(new_id, "an instance id")
        asked = await forking.beside(self.backend, source, self._app, fork_id)
        forking.check_created(asked, await self._commit(asked))
        return Handle(self, fork_id)

    async def rewind(self, instance_id: str, *, at_event: int | None = None) -> None:
        """Take an instance that ended without a result back to an event, and let it go on from there with today's code.

        What came later is forgotten, but for signals, which are sent again. Without `at_event` it goes back to before the event
        that led to the end. The client needs the App. Raises InstanceNotFinished, NonDeterminismError, ConfigurationError.
        """
        from perdure.client import forking

        source = await forking.read_source(self._outside(), instance_id, at_event)
        asked = await forking.in_place(self.backend, source, self._app)
        forking.check_created(asked, await self._commit(asked))
        for signal in forking.signals_after(source):
            await self._sending.append(self, instance_id, signal, random_id())

    # waiting for one instance

    @overload
    async def result(self, instance_id: str, *, timeout: Duration | None = None) -> Any: ...  # noqa: ASYNC109 - the same
    @overload
    async def result(
        self,
        instance_id: str,
        workflow: Callable[..., Coroutine[Any, Any, R]],
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - the instance isn't cancelled
    ) -> R: ...
    async def result(
        self,
        instance_id: str,
        workflow: Callable[..., Any] | None = None,
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - the instance isn't cancelled
    ) -> Any:
        """What the workflow returned, once it has; see `Handle.result`.

        Without `workflow` it is decoded by the workflow of that name in the App, or else as plain JSON.
        """
        return await self._result(instance_id, None if workflow is None else workflow_of(workflow), timeout)

    async def wait(self, instance_id: str, timeout: Duration | None = None) -> State:  # noqa: ASYNC109 - the same
        """How the instance ended, once it has, whatever the end. Raises TimeoutError, InstanceNotFound."""
        return (await self._wait_for_outcome(instance_id, timeout)).state

    async def prune(
        self,
        *,
        limit: int | None = None,
        progress: Callable[[int], object] | None = None,
        **filters: Unpack[Filters],
    ) -> int:
        """Remove ended instances that the filters let through, those that ended first first; how many there were.

        As in `prune(ended_to=a_month_ago)`. Running ones are never touched. It goes step by step, and lets others use the store
        in between; after each step `progress` is called with the number so far. What is broken off goes on when it is done again,
        and several may do it at once.
        """
        return await prune_instances(self._outside(), instance_filter(filters), limit, progress)

    @property
    def queues(self) -> Queues:
        """The limits of queues, over all workers; what waits on them is told by `stats`."""
        return Queues(self._outside())

    # inside

    async def _start(self, definition: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return await self._sending.start(self, self.backend, definition, args, kwargs)

    async def _start_activity(
        self, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Handle[Any]:
        return Handle(self, await self._sending.start_activity(self, self.backend, activity, args, kwargs), activity)

    async def _schedule(
        self, schedule: Schedule, definition: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ScheduleHandle:
        check_registered(self._app, definition)
        call = self._payloads.call(definition.function, skip=1).encode(args, kwargs)
        return await put_schedule(self, schedule, definition, call)

    async def _result(self, instance_id: str, workflow: Definition | None, timeout: Duration | None) -> Any:  # noqa: ASYNC109 - the same
        outcome = await self._wait_for_outcome(instance_id, timeout)
        return self._endings.result(await repeat(partial(with_result, self.backend, outcome)), workflow)

    async def _wait_for_outcome(self, instance_id: str, timeout: Duration | None) -> Outcome:  # noqa: ASYNC109 - the same
        return await wait_for_outcome(self.backend, instance_id, timeout, self._clock)

    async def _query(self, instance_id: str, call: Call, seconds: float | None) -> Any:
        return await self._asking.query(self, instance_id, call, QUERY_SECONDS if seconds is None else seconds)

    async def _update(self, instance_id: str, call: Call, seconds: float | None, key: str | None) -> Any:
        return await self._sending.update(self, self._asking, instance_id, call, key, seconds)

    async def _ask(self, instance_id: str, query: Query) -> Reply | None:
        """What comes back in time."""
        store, request = self._outside(), encode_query(query)
        reply = await repeat(lambda: store.ask(instance_id, request, query.seconds))
        return None if reply is None else decode_reply(reply)

    async def _commit(self, transition: Transition[O]) -> O:
        store = self._outside()
        return await repeat(lambda: store.commit(transition))

    def _outside(self) -> Backend:
        """The open store, for a write that doesn't wait for a transaction which this very code has open."""
        store = self.backend
        if isinstance(store, Joinable):
            store.check_outside()
        return store

    async def _create(self, asked: CreateInstance) -> Created | Existing:
        return await self._commit(asked)

    async def _send(self, asked: AppendEvent) -> Appended | NotAppended:
        return await self._commit(asked)

    async def _administer(self, instance_id: str, transition: Transition[Any]) -> None:
        check_taken(instance_id, await self._commit(transition))
