"""Findings as text, as JSON, and as SARIF for code hosts and editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from perdure.lint.findings import Finding
from perdure.lint.rules import RULES


def as_text(findings: Sequence[Finding]) -> str:
    """One line each: `orders/flow.py:12:5: PRD101 …`."""
    return "\n".join(f"{_shown(each.path)}:{each.line}:{each.column}: {each.code} {each.message}" for each in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects, with the calls that lead from the workflow to each finding."""
    return _encoded(
        [
            {
                "code": each.code,
                "name": RULES[each.code].name,
                "message": each.message,
                "path": _shown(each.path),
                "line": each.line,
                "column": each.column,
                "end_line": each.end_line,
                "workflow": each.workflow,
                "calls": [
                    {"path": _shown(step.path), "line": step.line, "column": step.column, "function": step.function}
                    for step in each.calls
                ],
            }
            for each in findings
        ]
    )


def as_sarif(findings: Sequence[Finding]) -> str:
    """SARIF 2.1.0."""
    driver = {"name": "perdure lint", "version": version("perdure"), "rules": [_rule(code) for code in RULES]}
    places = {code: place for place, code in enumerate(RULES)}
    return _encoded(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": driver},
                    "columnKind": "unicodeCodePoints",
                    "results": [_result(finding, places[finding.code]) for finding in findings],
                }
            ],
        }
    )


FORMATS: Mapping[str, Callable[[Sequence[Finding]], str]] = {"text": as_text, "json": as_json, "sarif": as_sarif}


def _rule(code: str) -> dict[str, Any]:
    rule = RULES[code]
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": f"In workflow code: {rule.finds}."},
        "fullDescription": {"text": f"Not deterministic, or lost: {rule.why}."},
        "help": {"text": f"Use {rule.instead}."},
        "defaultConfiguration": {"level": "error"},
    }


def _result(finding: Finding, rule_place: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule_place,
        "level": "error",
        "message": {"text": finding.message},
        "locations": [_location(finding.path, finding.line, finding.column)],
    }
    if finding.calls:
        result["relatedLocations"] = [
            {**_location(step.path, step.line, step.column), "message": {"text": f"called by {step.function}"}}
            for step in finding.calls
        ]
    return result


def _location(path: Path, line: int, column: int) -> dict[str, Any]:
    shown = _shown(path)
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": path.as_uri() if Path(shown).is_absolute() else quote(Path(shown).as_posix())},
            "region": {"startLine": line, "startColumn": column},
        }
    }


def _shown(path: Path) -> str:
    """The path from the current folder on, if it is below it."""
    folder = Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _encoded(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
