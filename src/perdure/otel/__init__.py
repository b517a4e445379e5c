"""Traces and metrics with OpenTelemetry: `App(telemetry=OpenTelemetry())`. Needs `pip install perdure[otel]`."""

from __future__ import annotations

try:
    import opentelemetry.trace as _api
except ImportError as problem:
    raise ImportError("perdure.otel needs OpenTelemetry: pip install perdure[otel]") from problem

from perdure.otel.telemetry import OpenTelemetry, current_ids
from perdure.otel.tracer import get_tracer

del _api
__all__ = ["OpenTelemetry", "current_ids", "get_tracer"]
