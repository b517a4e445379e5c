"""A start, before and after the store: what is asked of it, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.activities.definition import Activity, definition_name
from perdure.app import App, carrying
from perdure.client.identity import derived_id, draw_instance_id
from perdure.clock import Clock, Micros, duration_micros, random_id
from perdure.errors import ConfigurationError, InstanceAlreadyExists, RegistrationError
from perdure.model.event import ExecutionStarted, SignalReceived
from perdure.model.instance import State
from perdure.model.names import DEFAULT_QUEUE, check_name
from perdure.model.options import Cancellation, Duration, IfExists, Retention, WorkflowOptions
from perdure.model.retention import chosen
from perdure.model.retry import stored_retry
from perdure.model.transition import CreateInstance, Existing
from perdure.observability.telemetry import Telemetry
from perdure.propagation import Propagation, Propagator
from perdure.serialization.calls import EncodedCall
from perdure.serialization.payloads import Payloads
from perdure.workflows.alone import run_alone
from perdure.workflows.definition import Workflow
from perdure.workflows.runtime import StoredActivity
from perdure.workflows.signal import BoundSignal, Signal


def check_registered(app: App | None, workflow: Workflow[..., Any]) -> None:
    """Raises RegistrationError if the App that the client was given would not run this workflow."""
    if app is None:
        return
    known = app.workflows.get(workflow.name)
    if known is None:
        raise RegistrationError(
            f"workflow {workflow.name!r} isn't in the App that this client was given: add it to App(workflows=[…])"
        )
    if known.function is not workflow.function:
        raise RegistrationError(
            f"workflow {workflow.name!r} of this client's App is another function, {known.function.__module__}."
            f"{definition_name(known.function)}: start that one, or give yours a name of its own"
        )


def propagation_of(
    app: App | None, propagators: Sequence[Propagator], telemetry: Telemetry | None = None
) -> Propagation:
    """What the App carries, or what a client does without one."""
    if app is None:
        return carrying(propagators, telemetry)
    if telemetry is not None:
        raise ConfigurationError("this client has an App: give the telemetry to that, as in App(telemetry=…)")
    if propagators:
        raise ConfigurationError("this client has an App: give the propagators to that, as in App(propagators=[…])")
    return app.propagation


def check_activity_registered(app: App | None, activity: Activity[..., Any]) -> None:
    """Raises RegistrationError if the App would not run this activity; what a lifespan yields is known to workers alone."""
    if app is None:
        return
    known = app.activities.get(activity.name)
    if known is None and app.lifespan is None:
        raise RegistrationError(
            f"activity {activity.name!r} isn't in the App that this client was given: add it to App(activities=[…])"
        )
    if known is not None and known.function is not activity.function:
        raise RegistrationError(
            f"activity {activity.name!r} of this client's App is another function, {known.function.__module__}."
            f"{definition_name(known.function)}: start that one, or give yours a name of its own"
        )


def alone(
    activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], payloads: Payloads
) -> tuple[Workflow[..., Any], EncodedCall]:
    """The start of the workflow behind an activity that runs by itself. Options don't make it another call."""
    options = activity.options
    arguments, digest = payloads.call(activity.function, skip=activity.skip).encode(args, kwargs)
    # There is nobody else whom its cancel could be meant for.
    is_told = options.cancellation is Cancellation.WAIT
    stored = StoredActivity(
        name=activity.name,
        arguments=arguments,
        digest=digest,
        cancellation=Cancellation.REQUEST if is_told else options.cancellation,
        retry=stored_retry(options.retry),
        timeout=_micros(options.timeout),
        total_timeout=_micros(options.total_timeout),
        queue_timeout=_micros(options.queue_timeout),
        heartbeat_timeout=_micros(options.heartbeat_timeout),
    )
    key = options.idempotency_key
    workflow = run_alone.with_options(
        instance_id=options.instance_id,
        queue=options.queue,
        priority=options.priority,
        start_delay=options.start_delay,
        tags={"activity": activity.name, **(options.tags or {})},
        if_exists=options.if_exists,
        idempotency_key=None if key is None else derived_id("activity", activity.name, check_name(key, "a key")).hex(),
    )
    call = payloads.call(run_alone.function, skip=1).encode((stored,), {})
    return workflow, EncodedCall(call.payload, derived_id("activity", activity.name, digest))


def creation(
    workflow: Workflow[..., Any],
    call: EncodedCall,
    *,
    payloads: Payloads,
    version: str | None,
    headers: dict[str, str],
    retention: Retention | None,
    clock: Clock,
) -> CreateInstance:
    """What a start asks of the store. `retention` is the App's."""
    options = workflow.options
    instance_id = options.instance_id or _drawn_id(workflow.name, options.idempotency_key, clock)
    return CreateInstance(
        request_id=_request_id(workflow.name, instance_id, options.idempotency_key, call.digest),
        instance_id=instance_id,
        execution_id=random_id(),
        workflow=workflow.name,
        queue=options.queue or DEFAULT_QUEUE,
        # The store sets the time, and the worker that applies the event its Python.
        started=ExecutionStarted(
            at=0, workflow=workflow.name, arguments=call.payload, python="", version=version, headers=headers
        ),
        digest=call.digest,
        priority=options.priority or 0,
        version=version,
        timeout=_micros(options.timeout),
        start_delay=_delay(options.start_delay),
        tags=dict(options.tags or {}),
        retention=chosen(options.retention, retention),
        if_exists=options.if_exists,
        signals=tuple(_received(bound, payloads) for bound in workflow.start_signals),
    )


def signal_received(signal: Signal[Any], value: object, payloads: Payloads) -> SignalReceived:
    """A signal as it is stored; its value is checked against the signal's type."""
    if not isinstance(signal, Signal):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{signal!r} isn't a signal: pass the Signal(name, type) that the workflow receives")
    return SignalReceived(at=0, name=signal.name, payload=payloads.encode(value, signal.type))


def already_exists(asked: CreateInstance, found: Existing, options: WorkflowOptions) -> InstanceAlreadyExists:
    """The error that says what has the id, and what to do."""
    instance_id = found.instance_id
    standing = "still running" if found.state is State.RUNNING else f"ended ({found.state})"
    what = f"instance {instance_id!r} exists already: workflow {found.workflow!r}, {standing}"
    if found.workflow != asked.workflow:
        return InstanceAlreadyExists(f"{what}; not {asked.workflow!r}. Use another instance id", instance_id)
    if options.idempotency_key is not None and found.digest != asked.digest:
        advice = "It was started with other arguments: one idempotency key stands for one call"
    elif options.if_exists is IfExists.USE:
        advice = "It was started with other arguments. Use another instance id, or the arguments that it has"
    else:
        advice = _ADVICE[options.if_exists]
    return InstanceAlreadyExists(f"{what}. {advice}", instance_id)


_ADVICE: Mapping[IfExists, str] = {
    IfExists.RAISE: (
        "Use another instance id, remove it if it has ended, or say with_options(if_exists=…): 'use' takes the one that "
        "is there, 'restart' starts anew once it has ended, 'restart_failed' if it ended without a result"
    ),
    IfExists.RESTART: "It can be started anew once it has ended: wait for it, cancel or terminate it first",
    IfExists.RESTART_FAILED: "It is started anew only if it ended without a result; 'restart' would do so after any end",
}


def _drawn_id(workflow: str, idempotency_key: str | None, clock: Clock) -> str:
    if idempotency_key is None:
        return draw_instance_id(clock)
    return derived_id("instance", workflow, idempotency_key).hex()


def _request_id(workflow: str, instance_id: str, idempotency_key: str | None, digest: bytes) -> bytes:
    """The arguments are part of it: the same key with other ones finds the id taken, and isn't taken for a repetition."""
    if idempotency_key is None:
        return random_id()
    return derived_id("start", workflow, instance_id, idempotency_key, digest)


def _micros(duration: Duration | None) -> Micros | None:
    return None if duration is None else duration_micros(duration)


def _delay(delay: Duration | None) -> Micros:
    micros = _micros(delay) or 0
    if micros < 0:
        raise ConfigurationError(f"start_delay is {delay}: an instance can't be started in the past")
    return micros


def _received(bound: BoundSignal, payloads: Payloads) -> SignalReceived:
    return signal_received(bound.signal, bound.value, payloads)
