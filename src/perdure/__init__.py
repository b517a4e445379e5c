"""perdure: durable workflows for Python, in your own process.

Its public names are here. Each is loaded at its first use: a process that only starts workflows never loads the engine, and
`import perdure` itself takes a few milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.activities.context import ActivityContext, NotInActivity, activity_context
    from perdure.activities.definition import Activity, activity
    from perdure.app import App
    from perdure.backends.connect import connect
    from perdure.client.client import Client
    from perdure.client.handle import Handle
    from perdure.client.listing import Stats
    from perdure.client.queues import Queues
    from perdure.client.schedules import ScheduleHandle, Schedules
    from perdure.client.synchronous import SyncClient
    from perdure.client.synchronous_handle import SyncHandle
    from perdure.client.synchronous_queues import SyncQueues
    from perdure.client.synchronous_schedules import SyncScheduleHandle, SyncSchedules
    from perdure.client.synchronous_transactional import SyncTransactionalClient
    from perdure.client.transactional import TransactionalClient
    from perdure.engine.limits import Limits
    from perdure.errors import (
        ActivityError,
        ActivityTimeout,
        ArgumentsError,
        CompensationFailed,
        ConfigurationError,
        DeadlineExceeded,
        DecodeError,
        EncodeError,
        FailureError,
        HandlerNotFound,
        HistoryTooLong,
        InstanceAlreadyExists,
        InstanceError,
        InstanceNotFinished,
        InstanceNotFound,
        InstanceNotRunning,
        InvalidName,
        LeaseLost,
        NonDeterminismError,
        NotAnswered,
        NotInWorkflow,
        PayloadError,
        PayloadTooLarge,
        PerdureError,
        PermanentError,
        QueryFailed,
        RegistrationError,
        RunawayWorkflow,
        ScheduleNotFound,
        SchemaMismatch,
        SignalNotDelivered,
        StoreCorrupt,
        StoreError,
        StoreFilling,
        StoreFull,
        StoreReadOnly,
        StoreSealed,
        StoreUnavailable,
        StoreUsageError,
        SubWorkflowError,
        UpdateFailed,
        UpdateNotHandled,
        UpdateRefused,
        WorkerLost,
        WorkflowCancelled,
        WorkflowEnded,
        WorkflowFailed,
        WorkflowTerminated,
    )
    from perdure.model.failure import Failure
    from perdure.model.inspection import HistoryEvent, Page, PendingActivity, QueueLimits, QueueStatus, WorkerStatus
    from perdure.model.instance import Execution, Instance, State, Stuck
    from perdure.model.options import Cancellation, Duration, IfExists, ParentClose, Retention
    from perdure.model.retry import NO_RETRY, RetryPolicy
    from perdure.model.schedule import Overlap, Schedule
    from perdure.moving import Copied, abandon_copy, copy_store
    from perdure.orchestrator import Orchestrator, SyncOrchestrator
    from perdure.propagation import ContextVarPropagator, Propagator
    from perdure.replay.divergence import CodeLine, Divergence, HistoryStep
    from perdure.replay.replayer import DivergenceCause, Replayer, ReplayReport
    from perdure.serialization.codecs import Codec, Compression, Encryption
    from perdure.serialization.converters import Converter
    from perdure.serialization.saved import SavedHistory
    from perdure.worker.worker import Worker
    from perdure.workflows.channel import Channel, ChannelClosed, ChannelEmpty, ChannelFull
    from perdure.workflows.compensations import Compensations
    from perdure.workflows.context import Context, workflow_context
    from perdure.workflows.definition import Workflow, workflow
    from perdure.workflows.future import Future, SubWorkflowFuture
    from perdure.workflows.info import Info
    from perdure.workflows.scheduling import ScheduledRun, ScheduleStatus
    from perdure.workflows.select import Selected, on_receive, on_result, on_send, otherwise, select
    from perdure.workflows.signal import BoundSignal, Signal
    from perdure.workflows.signal_channel import SignalChannel

_NAMES: dict[str, tuple[str, ...]] = {
    "app": ("App",),
    "orchestrator": (
        "Orchestrator",
        "SyncOrchestrator",
    ),
    "client.client": ("Client",),
    "client.handle": ("Handle",),
    "client.listing": ("Stats",),
    "client.queues": ("Queues",),
    "client.schedules": (
        "ScheduleHandle",
        "Schedules",
    ),
    "model.schedule": (
        "Overlap",
        "Schedule",
    ),
    "workflows.scheduling": (
        "ScheduleStatus",
        "ScheduledRun",
    ),
    "client.transactional": ("TransactionalClient",),
    "client.synchronous": ("SyncClient",),
    "client.synchronous_handle": ("SyncHandle",),
    "client.synchronous_queues": ("SyncQueues",),
    "client.synchronous_schedules": (
        "SyncScheduleHandle",
        "SyncSchedules",
    ),
    "client.synchronous_transactional": ("SyncTransactionalClient",),
    "worker.worker": ("Worker",),
    "propagation": (
        "ContextVarPropagator",
        "Propagator",
    ),
    "backends.connect": ("connect",),
    "moving": (
        "copy_store",
        "abandon_copy",
        "Copied",
    ),
    "workflows.definition": (
        "workflow",
        "Workflow",
    ),
    "workflows.context": (
        "Context",
        "workflow_context",
    ),
    "workflows.compensations": ("Compensations",),
    "workflows.info": ("Info",),
    "workflows.future": (
        "Future",
        "SubWorkflowFuture",
    ),
    "workflows.signal": (
        "BoundSignal",
        "Signal",
    ),
    "workflows.signal_channel": ("SignalChannel",),
    "workflows.channel": (
        "Channel",
        "ChannelClosed",
        "ChannelEmpty",
        "ChannelFull",
    ),
    "workflows.select": (
        "Selected",
        "on_receive",
        "on_result",
        "on_send",
        "otherwise",
        "select",
    ),
    "activities.definition": (
        "Activity",
        "activity",
    ),
    "activities.context": (
        "ActivityContext",
        "NotInActivity",
        "activity_context",
    ),
    "model.retry": (
        "NO_RETRY",
        "RetryPolicy",
    ),
    "model.options": (
        "Cancellation",
        "Duration",
        "IfExists",
        "ParentClose",
        "Retention",
    ),
    "engine.limits": ("Limits",),
    "model.failure": ("Failure",),
    "model.instance": (
        "Execution",
        "Instance",
        "State",
        "Stuck",
    ),
    "model.inspection": (
        "HistoryEvent",
        "Page",
        "PendingActivity",
        "QueueLimits",
        "QueueStatus",
        "WorkerStatus",
    ),
    "serialization.codecs": (
        "Codec",
        "Compression",
        "Encryption",
    ),
    "serialization.converters": ("Converter",),
    "serialization.saved": ("SavedHistory",),
    "replay.replayer": (
        "Replayer",
        "ReplayReport",
        "DivergenceCause",
    ),
    "replay.divergence": (
        "Divergence",
        "CodeLine",
        "HistoryStep",
    ),
    "errors": (
        "PerdureError",
        "ConfigurationError",
        "RegistrationError",
        "InvalidName",
        "ArgumentsError",
        "PayloadError",
        "EncodeError",
        "DecodeError",
        "PayloadTooLarge",
        "InstanceError",
        "InstanceNotFound",
        "ScheduleNotFound",
        "InstanceAlreadyExists",
        "InstanceNotRunning",
        "InstanceNotFinished",
        "HandlerNotFound",
        "NotAnswered",
        "QueryFailed",
        "UpdateFailed",
        "UpdateNotHandled",
        "UpdateRefused",
        "WorkflowEnded",
        "WorkflowFailed",
        "WorkflowCancelled",
        "WorkflowTerminated",
        "StoreError",
        "StoreUnavailable",
        "StoreReadOnly",
        "StoreFull",
        "StoreCorrupt",
        "StoreSealed",
        "StoreFilling",
        "SchemaMismatch",
        "StoreUsageError",
        "FailureError",
        "ActivityError",
        "ActivityTimeout",
        "WorkerLost",
        "SubWorkflowError",
        "SignalNotDelivered",
        "CompensationFailed",
        "PermanentError",
        "DeadlineExceeded",
        "NonDeterminismError",
        "NotInWorkflow",
        "RunawayWorkflow",
        "HistoryTooLong",
        "LeaseLost",
    ),
}
_HOMES = {name: f"perdure.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "App",
    "Orchestrator",
    "SyncOrchestrator",
    "Client",
    "Handle",
    "Stats",
    "Queues",
    "TransactionalClient",
    "SyncClient",
    "SyncHandle",
    "SyncQueues",
    "SyncScheduleHandle",
    "SyncSchedules",
    "SyncTransactionalClient",
    "Worker",
    "ContextVarPropagator",
    "Propagator",
    "connect",
    "copy_store",
    "abandon_copy",
    "Copied",
    "workflow",
    "Workflow",
    "Context",
    "workflow_context",
    "Compensations",
    "Info",
    "Future",
    "SubWorkflowFuture",
    "BoundSignal",
    "Signal",
    "SignalChannel",
    "Channel",
    "ChannelClosed",
    "ChannelEmpty",
    "ChannelFull",
    "Selected",
    "on_receive",
    "on_result",
    "on_send",
    "otherwise",
    "select",
    "Activity",
    "activity",
    "ActivityContext",
    "NotInActivity",
    "activity_context",
    "NO_RETRY",
    "RetryPolicy",
    "Cancellation",
    "Duration",
    "IfExists",
    "Overlap",
    "Schedule",
    "ScheduleHandle",
    "ScheduleNotFound",
    "ScheduleStatus",
    "ScheduledRun",
    "Schedules",
    "ParentClose",
    "Retention",
    "Limits",
    "Failure",
    "Execution",
    "Instance",
    "State",
    "Stuck",
    "HistoryEvent",
    "SavedHistory",
    "Replayer",
    "ReplayReport",
    "Divergence",
    "DivergenceCause",
    "CodeLine",
    "HistoryStep",
    "Page",
    "PendingActivity",
    "QueueLimits",
    "QueueStatus",
    "WorkerStatus",
    "Codec",
    "Compression",
    "Encryption",
    "Converter",
    "PerdureError",
    "ConfigurationError",
    "RegistrationError",
    "InvalidName",
    "ArgumentsError",
    "PayloadError",
    "EncodeError",
    "DecodeError",
    "PayloadTooLarge",
    "InstanceError",
    "InstanceNotFound",
    "InstanceAlreadyExists",
    "InstanceNotRunning",
    "InstanceNotFinished",
    "HandlerNotFound",
    "NotAnswered",
    "QueryFailed",
    "UpdateFailed",
    "UpdateNotHandled",
    "UpdateRefused",
    "WorkflowEnded",
    "WorkflowFailed",
    "WorkflowCancelled",
    "WorkflowTerminated",
    "StoreError",
    "StoreUnavailable",
    "StoreReadOnly",
    "StoreFull",
    "StoreCorrupt",
    "StoreSealed",
    "StoreFilling",
    "SchemaMismatch",
    "StoreUsageError",
    "FailureError",
    "ActivityError",
    "ActivityTimeout",
    "WorkerLost",
    "SubWorkflowError",
    "SignalNotDelivered",
    "CompensationFailed",
    "PermanentError",
    "DeadlineExceeded",
    "NonDeterminismError",
    "NotInWorkflow",
    "RunawayWorkflow",
    "HistoryTooLong",
    "LeaseLost",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
