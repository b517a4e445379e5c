"""Spans into files, and files of spans as a tree."""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor


def provider_writing_to(path: Path, service: str) -> TracerProvider:
    """A line of JSON for each span; in earnest it is an exporter that sends them to a collector."""
    provider = TracerProvider(resource=Resource({"service.name": service}))
    exporter = ConsoleSpanExporter(out=path.open("a"), formatter=lambda span: f"{span.to_json(indent=None)}\n")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def write_spans_to(path: Path, service: str) -> None:
    trace.set_tracer_provider(provider_writing_to(path, service))


def tree_of(paths: Iterable[Path]) -> list[str]:
    """What the files hold, the parents first, each with its process."""
    children = defaultdict[str | None, list[dict[str, Any]]](list)
    for path in paths:
        for line in path.read_text().splitlines():
            span = json.loads(line)
            children[span["parent_id"]].append(span)

    def below(parent: str | None, depth: int) -> list[str]:
        lines = list[str]()
        for span in sorted(children[parent], key=lambda each: each["end_time"]):
            failed = " failed" if span["status"]["status_code"] == "ERROR" else ""
            service = span["resource"]["attributes"]["service.name"]
            lines.append(f"{'  ' * depth}{span['name']} ({service}){failed}")
            lines += below(span["context"]["span_id"], depth + 1)
        return lines

    return below(None, 0)
