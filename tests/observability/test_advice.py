from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from perdure import errors
from perdure.backends.endings import losses_reason
from perdure.model.instance import Stuck
from perdure.observability.advice import advice_for


@pytest.mark.parametrize(
    "kind",
    [
        errors.NonDeterminismError,
        errors.DecodeError,
        errors.HistoryTooLong,
        errors.RunawayWorkflow,
        errors.StoreCorrupt,
        errors.StoreError,
        errors.StoreUsageError,
        errors.StoreFull,
        errors.StoreReadOnly,
    ],
)
def test_e4_each_kind_of_reason_has_advice_of_its_own(kind: type[Exception]) -> None:
    advice = advice_for(f"{kind.__name__}: it is\nas it is")

    assert advice.kind == kind.__name__
    assert advice.steps


def test_e4_five_lost_workers_are_told_by_the_store_in_its_own_words() -> None:
    assert advice_for(losses_reason()).kind == "WorkersLost"


def test_e4_what_nobody_has_thought_of_is_perhaps_perdures_fault() -> None:
    advice = advice_for(Stuck(reason="KeyError: 'x'", attempts=1, retry_at=None))

    assert advice.kind == "Unknown"
    assert "please report it" in advice.text


def test_e4_commands_name_the_instance_as_a_shell_takes_it() -> None:
    assert "`perdure resume 'order 7; rm'`" in advice_for("RunawayWorkflow: it is", "order 7; rm").text


def test_the_page_has_a_line_for_each_kind() -> None:
    kinds = {advice_for(f"{name}: x").kind for name, _ in inspect.getmembers(errors, inspect.isclass)}
    page = (Path(__file__).parents[2] / "docs" / "stuck.md").read_text()
    table = page.partition("## What to do")[2]

    assert [kind for kind in sorted({*kinds, "WorkersLost"}) if f"`{kind}`" not in table] == []
