from __future__ import annotations

import json

from perdure.lint.formats import as_json, as_sarif, as_text
from perdure.lint.linter import lint
from perdure.lint.rules import RULES
from tests.lint.conftest import Write
from tests.lint.test_linter import FLOW, HELPERS


def test_text_has_a_line_for_each_finding_with_paths_from_here(write: Write) -> None:
    text = as_text(lint([write(flow=FLOW, helpers=HELPERS)]))

    assert text.startswith("helpers.py:5:12: PRD101 time.time(): use `ctx.now()`")
    assert text.endswith("(in stamp, which workflow order calls)")


def test_json_has_the_calls_that_lead_there(write: Write) -> None:
    [finding] = json.loads(as_json(lint([write(flow=FLOW, helpers=HELPERS)])))

    assert finding["calls"] == [{"path": "flow.py", "line": 7, "column": 12, "function": "order"}]
    assert {name: finding[name] for name in ("code", "name", "path", "line", "column", "workflow")} == {
        "code": "PRD101",
        "name": "clock",
        "path": "helpers.py",
        "line": 5,
        "column": 12,
        "workflow": "order",
    }


def test_sarif_has_all_rules_and_refers_to_them(write: Write) -> None:
    sarif = json.loads(as_sarif(lint([write(flow=FLOW, helpers=HELPERS)])))

    [run] = sarif["runs"]
    rules = run["tool"]["driver"]["rules"]
    [result] = run["results"]
    assert sarif["version"] == "2.1.0"
    assert [rule["id"] for rule in rules] == list(RULES)
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "PRD101"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "helpers.py"},
        "region": {"startLine": 5, "startColumn": 12},
    }
    assert result["relatedLocations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "flow.py"}


def test_nothing_found_is_a_valid_document_too() -> None:
    assert as_text([]) == ""
    assert json.loads(as_json([])) == []
    assert json.loads(as_sarif([]))["runs"][0]["results"] == []
