"""`python -m benchmarks`: run, verify, print."""

from __future__ import annotations

import json
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--count", default=6000, show_default=True, help="Workflows in a run.")
@click.option("--in-flight", default=200, show_default=True, help="Workflows under way at a time.")
@click.option("--rounds", default=3, show_default=True, help="Runs of each case; medians are printed.")
@click.option("--store", "stores", multiple=True, help="URL of a store; {dir} is a fresh folder. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(count: int, in_flight: int, rounds: int, stores: tuple[str, ...], as_json: bool) -> None:
    """Time workflows of one activity on each store, and check each run from a fresh process."""
    stores = stores or ("sqlite:///{dir}/bench.db", "sqlite:///{dir}/bench.db?synchronous=normal", "memory://")
    rows: dict[str, list[dict[str, Any]]] = {store: [] for store in stores}
    for _ in range(rounds):
        for store in stores:
            rows[store].append(_one_run(store, count, in_flight))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(
        f"one activity per workflow, {count:,} workflows, {in_flight} in flight, one process; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    for store, runs in rows.items():
        click.echo(_line(store, runs))


def _one_run(store: str, count: int, in_flight: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        url = store.format(dir=Path(folder))
        figures = _in_a_process("run", url, count, in_flight)
        if not url.startswith("memory:"):
            figures |= _in_a_process("verify", url, count, in_flight)
    return figures


def _in_a_process(what: str, url: str, count: int, in_flight: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.one_run", what, url, str(count), str(in_flight)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{what} on {url} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _line(store: str, runs: list[dict[str, Any]]) -> str:
    def median(name: str) -> float:
        return float(statistics.median(run[name] for run in runs))

    best = max(run["workflows_per_second"] for run in runs)
    return (
        f"{store:45} {median('workflows_per_second'):>8,.0f} wf/s (best {best:,})   "
        f"{median('cpu_us_per_workflow'):6.1f} us cpu/wf   "
        f"p50 {median('latency_p50_ms'):.2f} ms  p99 {median('latency_p99_ms'):.2f} ms"
    )


if __name__ == "__main__":
    main()
