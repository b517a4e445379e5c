"""`perdure lint`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from perdure.lint.formats import FORMATS
from perdure.lint.linter import lint
from perdure.lint.rules import RULES, is_chosen

ALL = "PRD"
_SYNTAX_TREES = 200_000
"""Thousands of syntax trees are made and kept: looking for garbage among them would take a third of the time."""


def lint_paths(
    paths: Sequence[str],
    *,
    output_format: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    every_async: bool,
) -> None:
    """Print what is found; exit code 1 if that is anything."""
    for code in (*select, *ignore):
        if not any(known.startswith(code) for known in RULES):
            raise click.BadParameter(f"no rule begins with {code!r}", param_hint="--select, --ignore")
    gc.set_threshold(_SYNTAX_TREES, 20, 100)
    found = lint([Path(path) for path in paths], every_async=every_async)
    chosen = [each for each in found if is_chosen(each.code, select or (ALL,), ignore)]
    text = FORMATS[output_format](chosen)
    if text:
        click.echo(text)
    if chosen:
        click.echo(f"{len(chosen)} found. `perdure lint --explain {chosen[0].code}` says why.", err=True)
        sys.exit(1)


def explain(code: str) -> None:
    """Print what a rule finds, why, and what to write instead."""
    rule = RULES.get(code.upper())
    if rule is None:
        raise click.BadParameter(f"there is no rule {code!r}; there are {', '.join(RULES)}", param_hint="--explain")
    click.echo(rule)
