"""A history in a file is the history."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from perdure.errors import DecodeError
from perdure.model.event import ActivityCompleted, ActivityFailed, ActivityScheduled, ExecutionStarted, MarkedStuck
from perdure.model.failure import Failure
from perdure.model.instance import Parent
from perdure.serialization.codecs import Compression
from perdure.serialization.payloads import Payloads
from perdure.serialization.saved import SavedHistory


def history(**changed: Any) -> SavedHistory:
    fields: dict[str, Any] = {
        "instance_id": 'a/"b": ü',
        "execution_id": bytes(range(16)).hex(),
        "workflow": "order",
        "queue": "eu",
        "priority": 3,
        "version": "2026-10",
        "parent": Parent("parent", bytes(range(16)), 7),
        "created_at": datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC),
        "deadline_at": None,
        "events": (
            ExecutionStarted(at=1, workflow="order", arguments=b'["}\\n",1.5]', python="3.11"),
            ActivityScheduled(number=1, name="pay", arguments=b"[1]", digest=bytes(16), queue="eu"),
            MarkedStuck(at=2, reason="no"),
            ActivityFailed(at=3, number=1, failure=Failure(types=("a:B",), message="no", cause=Failure(("c:D",), "x"))),
            ActivityCompleted(at=4, number=2, result=b"\xff\x00"),
        ),
    }
    return SavedHistory(**{**fields, **changed})


@pytest.mark.parametrize("saved", [history(), history(events=()), history(parent=None, deadline_at=datetime.now(UTC))])
def test_what_was_written_is_read_again(saved: SavedHistory) -> None:
    assert SavedHistory.from_json(saved.to_json()) == saved


def test_it_is_json_with_an_event_a_line() -> None:
    text = history().to_json().decode()

    assert json.loads(text)["events"][1]["name"] == "pay"
    assert sum('{"event":"' in line for line in text.splitlines()) == 5


def test_payloads_are_opened_by_the_apps_codecs_alone() -> None:
    payloads = Payloads(codecs=[Compression(threshold_bytes=8)])
    closed = payloads.encode(["secret" * 20])
    saved = history(events=(ExecutionStarted(at=1, workflow="order", arguments=closed, python="3.11"),))

    assert b"secret" not in saved.to_json()
    assert b"secret" in saved.to_json(payloads)
    assert SavedHistory.from_json(saved.to_json()) == saved


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"perdure": "history 2"}',
        b'{"perdure": "history 1"}',
        b"\xff",
        history().to_json().replace(b'"ActivityScheduled"', b'"Nothing"'),
        history().to_json().replace(b'"number":1', b'"number":"one"'),
        history().to_json().replace(b'"events": [', b'"events": [1,'),
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(DecodeError):
        SavedHistory.from_json(text)
