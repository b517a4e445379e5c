"""The Prometheus exporter shows what docs/metrics.md lists and what the dashboard asks for, under these names."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, start_http_server

from perdure import App, Client, Context, Signal, Worker, activity, workflow
from perdure.otel import OpenTelemetry
from tests.worker.support import until

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "dashboards" / "perdure.json"
go = Signal("go", str)


@activity
async def charge() -> None: ...


@activity(queue="unserved")
async def unserved() -> None: ...


@workflow
async def order(ctx: Context) -> None:
    waited_for = ctx.execute_activity(unserved)
    await ctx.execute_activity(charge)
    await ctx.signal_channel(go).receive()
    waited_for.cancel()


@pytest.fixture
async def shown(tmp_path: Path) -> str:
    """What a Prometheus would read from a worker that has done a little of everything."""
    registry, store = CollectorRegistry(), f"sqlite:///{tmp_path}/store.db"
    provider = MeterProvider([PrometheusMetricReader(registry=registry)], shutdown_on_exit=False)
    telemetry = OpenTelemetry(meter_provider=provider, look_every=timedelta(milliseconds=1))
    app = App(workflows=[order], activities=[charge, unserved], telemetry=telemetry)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)

    def read() -> str:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            return str(answer.read(), "utf-8")

    async with Client(store) as client, Worker(store, app, cache_size=1):
        handles = [await client.start(order) for _ in range(3)]
        await until(lambda: "perdure_cache_evictions" in read() and 'perdure_queue="unserved"' in read())
        text = read()
        for handle in handles:
            await handle.signal(go, "on")
            await handle.result()
    text += read()
    server.shutdown()
    server.server_close()
    thread.join()
    provider.shutdown()
    return text


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\bperdure_\w+", text))


def samples_of(text: str) -> set[str]:
    """The names at the beginnings of lines."""
    return set(re.findall(r"^perdure_\w+", text, re.MULTILINE))


def metrics_of(samples: set[str]) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples}


def labels_of(text: str) -> set[str]:
    return set(re.findall(r"[{,](perdure_\w+)=", text))


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


async def test_the_dashboard_asks_for_what_there_is(shown: str) -> None:
    samples, labels = samples_of(shown), labels_of(shown)
    targets = [target for panel in panels() for target in panel.get("targets", ())]
    assert targets
    for target in targets:
        names = names_in(target["expr"])
        assert names & samples, target["expr"]
        assert names <= samples | labels, target["expr"]
        [by] = re.findall(r"by \(([^)]*)\)", target["expr"])[:1] or [""]
        assert names_in(target["legendFormat"]) <= names_in(by), target["expr"]


async def test_the_dashboard_and_the_guide_leave_nothing_out(shown: str) -> None:
    metrics = metrics_of(samples_of(shown))
    assert metrics_of(names_in(DASHBOARD.read_text())) - labels_of(shown) == metrics
    listed = re.findall(r"^\| `(perdure\.[\w.]+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    plain = {re.sub(r"_(total|seconds)$", "", name) for name in metrics}
    assert {name.replace(".", "_") for name in listed} == plain


def test_panels_stand_beside_each_other_and_have_ids_of_their_own() -> None:
    taken = set[tuple[int, int]]()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
