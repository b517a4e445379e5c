from __future__ import annotations

import json

from benchmarks.report.as_json import to_json
from benchmarks.report.summary import summarize
from tests.benchmarks.report.made_up import ALL, ONE, RUNS


def test_the_json_has_every_run_the_machine_and_the_summary() -> None:
    found = json.loads(to_json({"cores": 2}, ALL, RUNS, summarize([ONE], ALL, RUNS)))

    assert found["machine"] == {"cores": 2}
    assert len(found["runs"]) == len(RUNS)
    assert found["runs"][0]["figures"] == {"rate": 9_000, "p99_ms": 9.0}
    assert found["summary"][0]["median"] == 11_000
    assert [each["name"] for each in found["contestants"]] == [each.name for each in ALL]
