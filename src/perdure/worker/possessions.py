"""What a worker has throughout its lives."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any

import msgspec

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.clock import Clock
from perdure.observability.logging import FieldsLogger, Loggers
from perdure.observability.telemetry import WorkerWatcher
from perdure.worker.keeper import Aside
from perdure.worker.options import WorkerOptions
from perdure.worker.slots import Slots
from perdure.worker.stopping import StopRequest
from perdure.worker.threads import Threads


class Possessions(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `activities` are the App's and those of its lifespan."""

    backend: Backend
    app: App
    activities: Mapping[str, Activity[..., Any]]
    options: WorkerOptions
    clock: Clock
    loggers: Loggers
    slots: Slots
    threads: Threads
    context: contextvars.Context
    stop: StopRequest
    aside: Aside
    watcher: WorkerWatcher | None

    @property
    def logger(self) -> FieldsLogger:
        """Of what the worker itself has to say."""
        return self.loggers.worker
