"""Events in words."""

from __future__ import annotations

import pytest

from perdure.diagnostics.steps import Steps
from perdure.diagnostics.views.words import in_words
from perdure.model.event import ActivityCompleted, ActivityFailed, Event
from perdure.model.failure import Failure

REFUSED = Failure(("shop:Refused",), message="no money")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ActivityCompleted(at=1, number=1, result=b""), "command 1 completed"),
        (ActivityCompleted(at=1, number=1, result=b"", attempts=3), "command 1 completed after 3 attempts"),
        (ActivityFailed(at=1, number=1, failure=REFUSED), "command 1 failed: Refused: no money"),
        (
            ActivityFailed(at=1, number=1, failure=REFUSED, attempts=2),
            "command 1 failed after 2 attempts: Refused: no money",
        ),
    ],
)
def test_an_activity_says_how_many_attempts_it_took_if_it_took_several(event: Event, words: str) -> None:
    assert in_words(event, Steps()) == words
