"""Events to bytes and back, and to plain data."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import DecodeError, StoreCorrupt
from perdure.model.event import ActivityFailed, ActivityScheduled, CarriedSignal, Event, ExecutionStarted, TimerSet
from perdure.model.failure import Failure
from perdure.model.task import PendingPayload
from perdure.serialization import (
    Compression,
    Payloads,
    decode_events,
    decode_pending,
    encode_events,
    encode_pending,
    event_from_plain,
    event_name,
    event_to_plain,
)

PAYLOADS = st.binary(max_size=20) | st.lists(st.integers() | st.text()).map(msgspec.json.encode)
FAILURES: st.SearchStrategy[Failure] = st.deferred(
    lambda: st.builds(
        Failure,
        types=st.lists(st.text(max_size=5)).map(tuple),
        message=st.text(max_size=5),
        arguments=st.none() | PAYLOADS,
        traceback=st.text(max_size=5),
        cause=st.none() | FAILURES,
        children=st.lists(FAILURES, max_size=1).map(tuple),
        permanent=st.booleans(),
    )
)
BY_FIELD: dict[str, Any] = {
    "failure": FAILURES,
    "arguments": PAYLOADS,
    "payload": PAYLOADS,
    "result": PAYLOADS,
    "digest": st.binary(min_size=16, max_size=16),
    **dict.fromkeys(("at", "number", "due_at", "attempts", "execution_number"), st.integers(0, 2**63 - 1)),
    "carried": st.lists(st.builds(CarriedSignal, name=st.text(), payload=PAYLOADS)).map(tuple),
}


def events_of(union: Any) -> st.SearchStrategy[Any]:
    """Every kind of event; msgspec's own fields tell what they take."""
    kinds = [
        st.builds(kind, **{name: BY_FIELD[name] for name in kind.__struct_fields__ if name in BY_FIELD})
        for kind in get_args(union)
    ]
    found: st.SearchStrategy[Any] = st.one_of(kinds)
    return found


@given(st.lists(events_of(Event)))
def test_events_come_back_as_they_were(history: Any) -> None:
    assert decode_events(encode_events(history)) == history


@given(events_of(PendingPayload))
def test_pending_events_come_back_as_they_were(event: Any) -> None:
    assert decode_pending(encode_pending(event)) == event


@given(events_of(Event))
def test_plain_data_is_json_and_leads_back_to_the_event(event: Any) -> None:
    plain = event_to_plain(event)

    assert plain["event"] == event_name(event)
    assert event_from_plain(json.loads(json.dumps(plain))) == event


@pytest.mark.parametrize(
    "junk", [b"", b"\x91", b"\x91\xc0", b"\x91\x93\x01", b"\x91\x92\xcc\xfe\x01", b'["x"]', b"\x91" * 50_000]
)
def test_corrupt_bytes_are_the_stores_fault_and_shown(junk: Any) -> None:
    with pytest.raises(StoreCorrupt, match=f"can't be read \\({len(junk)} bytes"):
        decode_events(junk)
    with pytest.raises(StoreCorrupt):
        decode_pending(junk)


def test_a_command_is_no_pending_event() -> None:
    with pytest.raises(StoreCorrupt):
        decode_pending(msgspec.msgpack.encode(TimerSet(number=1, due_at=5)))


def test_fields_that_were_added_since_may_be_missing() -> None:
    row = msgspec.msgpack.encode([[5, 1, 2, [["m:E"], "x"]]])

    assert decode_events(row) == [ActivityFailed(at=1, number=2, failure=Failure(types=("m:E",), message="x"))]


class TestPlainData:
    scheduled = ActivityScheduled(number=2, name="charge", arguments=b'["o",5]', digest=b"\x01" * 16, queue="default")

    def test_shows_payloads_as_json_and_leaves_out_defaults(self) -> None:
        assert event_to_plain(self.scheduled) == {
            "event": "ActivityScheduled",
            "number": 2,
            "name": "charge",
            "arguments": {"json": ["o", 5]},
            "digest": {"hex": "01" * 16},
            "queue": "default",
        }
        started = ExecutionStarted(at=1, workflow="w", arguments=b"[]", python="3.12")
        assert set(event_to_plain(started)) == {"event", "at", "workflow", "arguments", "python"}

    def test_shows_coded_payloads_only_with_the_codecs(self) -> None:
        payloads = Payloads(codecs=[Compression(threshold_bytes=1)])
        coded = payloads.encode(["x" * 100])
        event = msgspec.structs.replace(self.scheduled, arguments=coded)

        assert "base64" in event_to_plain(event)["arguments"]
        assert event_to_plain(event, payloads)["arguments"] == {"json": ["x" * 100]}
        assert event_from_plain(event_to_plain(event)) == event

    def test_keeps_the_bytes_of_json_in_another_form(self) -> None:
        event = msgspec.structs.replace(self.scheduled, arguments=b'[ 1.0E5, "\\u0041" ]')

        assert event_from_plain(event_to_plain(event)) == event

    @pytest.mark.parametrize(
        "plain",
        [
            {},
            {"event": "Nothing"},
            {"event": ["x"]},
            {"event": "TimerSet"},
            {"event": "TimerSet", "number": "x", "due_at": 1},
            {"event": "TimerSet", "number": 1, "due_at": 1, "more": 1},
            {"event": "ActivityScheduled", "arguments": {"base64": "!"}},
            {"event": "ActivityFailed", "at": 1, "number": 1, "failure": 5},
            {"event": "ActivityFailed", "at": 1, "number": 1, "failure": {"types": 5}},
        ],
        ids=str,
    )
    def test_that_is_no_event_is_a_decode_error(self, plain: Any) -> None:
        with pytest.raises(DecodeError):
            event_from_plain(plain)
