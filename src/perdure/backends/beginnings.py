"""What a store makes of a start."""

from __future__ import annotations

import msgspec

from perdure.clock import Micros
from perdure.model.checkpoint import StartSubWorkflow
from perdure.model.event import CarriedSignal, ExecutionStarted
from perdure.model.transition import CreateInstance, FirstStep


def begun(start: CreateInstance | StartSubWorkflow, now: Micros) -> ExecutionStarted:
    """The first event, with its time of arrival and the signals that the workflow finds at its first step."""
    if isinstance(start, StartSubWorkflow) or not start.signals:
        return msgspec.structs.replace(start.started, at=now)
    carried = tuple(CarriedSignal(signal.name, signal.payload) for signal in start.signals)
    return msgspec.structs.replace(start.started, at=now, carried=carried)


def created_at(step: FirstStep, now: Micros) -> Micros:
    """When an instance was created whose first step is taken: when workflow code was told that it was."""
    return now if step.offer is None else step.checkpoint.events[0].at  # type: ignore[union-attr]
